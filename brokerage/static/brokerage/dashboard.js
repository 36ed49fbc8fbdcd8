// Every five seconds the dashboard's figures are read anew and put in their place; the page, its scrolling and its focus stay.
(() => {
  const EVERY = 5000;
  let isAsking = false;

  function say(text) {
    const state = document.getElementById("dashboard-state");
    if (state && state.textContent !== text) state.textContent = text;
  }

  // The links keep their places, so whoever has reached one by the keyboard stays on it.
  function replace(fresh) {
    const old = document.getElementById("dashboard");
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    if (old.innerHTML !== fresh.innerHTML) {
      old.innerHTML = fresh.innerHTML;
      if (focused) {
        const same = [...old.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused);
        if (same) same.focus({ preventScroll: true });
      }
    }
    document.title = fresh.dataset.title;
  }

  async function refresh() {
    if (isAsking || document.hidden || !document.getElementById("dashboard")) return;
    isAsking = true;
    try {
      const answer = await fetch(window.location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("dashboard");
      if (answer.ok && fresh) {
        replace(fresh);
        say("");
      } else if (answer.redirected) {
        say("Signed out. Sign in to go on; these figures are old.");
      } else {
        say("These figures are old: the server does not answer as it should.");
      }
    } catch {
      say("These figures are old: the server can't be reached.");
    } finally {
      isAsking = false;
    }
  }

  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", refresh);
})();
