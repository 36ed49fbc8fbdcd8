// What every form of the admin has: its buttons send it once, and a session that ended loses nothing that was filled in.
//
// What was sent stands in this tab's sessionStorage until the next page: where that is the login, it is put back into the
// same form once the same person has signed in. Never passwords, files, tokens and one-time keys.
"use strict";

(() => {
    const KEPT = "brokerage.sent";
    const NEVER = ["csrfmiddlewaretoken", "once_only", "once", "_form_submitted"];
    const AGAIN_AFTER = 10000; // milliseconds: an answer that is a file leaves the page as it is
    const login = () => document.getElementById("login-form");
    const person = () => document.querySelector("meta[name=signed-in-as]")?.content || "";

    const read = () => {
        try {
            return JSON.parse(sessionStorage.getItem(KEPT));
        } catch {
            return null;
        }
    };
    const write = (sent) => {
        try {
            sessionStorage.setItem(KEPT, JSON.stringify(sent));
        } catch {
            // a browser that stores nothing loses what was filled in, as before
        }
    };
    const forget = () => sessionStorage.removeItem(KEPT);

    const buttons = (form) => form.querySelectorAll("button[type=submit], button:not([type]), input[type=submit]");
    const enable = (form) => {
        delete form.dataset.sent;
        buttons(form).forEach((one) => one.removeAttribute("aria-disabled"));
        buttons(form).forEach((one) => (one.disabled = false));
    };

    const keep = (form) => {
        const secret = [...form.querySelectorAll("input[type=password]")].map((one) => one.name);
        const fields = [...new FormData(form)].filter(
            ([name, value]) => typeof value === "string" && !NEVER.includes(name) && !secret.includes(name)
        );
        const dialog = form.getAttribute("hx-post");
        write({
            page: location.pathname,
            person: person(),
            dialog: dialog ? new URL(dialog, location.href).pathname : "",
            fields,
        });
    };

    document.addEventListener(
        "submit",
        (event) => {
            const form = event.target;
            if (form.method !== "post") return;
            if (form.dataset.sent) {
                event.preventDefault();
                event.stopImmediatePropagation();
                return;
            }
            form.dataset.sent = "1";
            if (form !== login()) keep(form);
            setTimeout(() => buttons(form).forEach((one) => (one.disabled = true))); // once the form's data was taken
            setTimeout(() => enable(form), AGAIN_AFTER);
        },
        true
    );
    document.addEventListener("htmx:afterRequest", (event) => {
        const form = event.target.closest?.("form");
        if (form && !event.detail.xhr?.getResponseHeader("HX-Redirect")) enable(form);
    });
    addEventListener("pageshow", (event) => {
        if (event.persisted) document.querySelectorAll("form").forEach(enable);
    });

    const fill = (form, fields) => {
        const values = new Map();
        fields.forEach(([name, value]) => values.set(name, [...(values.get(name) || []), value]));
        for (const one of form.elements) {
            if (!one.name || NEVER.includes(one.name) || ["password", "file", "submit"].includes(one.type)) continue;
            const given = values.get(one.name);
            if (one.type === "checkbox" || one.type === "radio") one.checked = Boolean(given?.includes(one.value));
            else if (one.tagName === "SELECT")
                [...one.options].forEach((option) => (option.selected = Boolean(given?.includes(option.value))));
            else if (given) one.value = given[0];
            if (one.type !== "hidden") one.dispatchEvent(new Event("change", { bubbles: true }));
        }
    };
    const say = (form) => {
        const note = document.createElement("p");
        note.className = "admin-note";
        note.setAttribute("role", "status");
        note.textContent = "What you had filled in is here again. Nothing was sent: look at it, then send it.";
        form.prepend(note);
    };

    const restore = (sent) => {
        if (sent.dialog) {
            const opener = [...document.querySelectorAll("[hx-get]")].find(
                (one) => new URL(one.getAttribute("hx-get"), location.href).pathname === sent.dialog
            );
            if (!opener) return;
            const opened = () => {
                const form = document.querySelector("#dialog form, form:has(#dialog-form)");
                if (!form) return;
                document.removeEventListener("htmx:afterSettle", opened);
                fill(form, sent.fields);
                say(form);
            };
            document.addEventListener("htmx:afterSettle", opened);
            opener.click();
            return;
        }
        const form = document.querySelector("#content-main form[method=post], #content form[method=post]");
        if (!form) return;
        fill(form, sent.fields);
        say(form);
    };

    addEventListener("load", () => {
        const sent = read();
        if (!sent) return;
        if (login()) {
            write({ ...sent, signedOut: true });
            return;
        }
        forget();
        if (sent.signedOut && sent.page === location.pathname && sent.person === person()) restore(sent);
    });
})();
