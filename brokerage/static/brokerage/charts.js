// Draws each figure's chart from what stands in its data-chart attribute. The same figures stand beside it as a table.
"use strict";

(() => {
    const isDark = () => document.documentElement.classList.contains("dark");
    const moods = (dark) => ({
        up: dark ? "#4ade80" : "#15803d",
        down: dark ? "#f87171" : "#b91c1c",
        line: dark ? "#60a5fa" : "#1d4ed8",
        entry: dark ? "#93c5fd" : "#1e40af",
        stop: dark ? "#fca5a5" : "#991b1b",
        target: dark ? "#86efac" : "#166534",
    });
    const options = (dark) => ({
        autoSize: true,
        layout: {
            background: { type: "solid", color: "transparent" },
            textColor: dark ? "#cbd5e1" : "#334155",
            fontFamily: "inherit",
        },
        grid: {
            vertLines: { visible: false },
            horzLines: { color: dark ? "rgba(148, 163, 184, .18)" : "rgba(100, 116, 139, .18)" },
        },
        rightPriceScale: { borderVisible: false },
        timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false },
        handleScroll: { mouseWheel: false, vertTouchDrag: false },
        handleScale: { mouseWheel: false },
    });

    const added = (chart, given, colours) => {
        const priceFormat = { type: "price", precision: given.decimals, minMove: 10 ** -given.decimals };
        if (given.kind === "candles") {
            const { up, down } = colours;
            return chart.addSeries(LightweightCharts.CandlestickSeries, {
                ...{ priceFormat, upColor: up, downColor: down, wickUpColor: up, wickDownColor: down },
                borderVisible: false,
            });
        }
        if (given.kind === "bars") {
            return chart.addSeries(LightweightCharts.HistogramSeries, { priceFormat, color: colours.line });
        }
        return chart.addSeries(LightweightCharts.LineSeries, { priceFormat, color: colours.line, lineWidth: 2, lineType: 1 });
    };

    // The scale takes in levels that are no further from the prices than those from each other, so that no far one flattens them.
    const withLevels = (levels) => (original) => {
        const found = original();
        if (!found?.priceRange) return found;
        const { minValue, maxValue } = found.priceRange;
        const span = maxValue - minValue;
        const near = levels.map((one) => one.price).filter((one) => one >= minValue - span && one <= maxValue + span);
        found.priceRange = { minValue: Math.min(minValue, ...near), maxValue: Math.max(maxValue, ...near) };
        return found;
    };

    const draw = (place) => {
        const given = JSON.parse(place.dataset.chart);
        const chart = LightweightCharts.createChart(place, options(isDark()));
        const colours = moods(isDark());
        const series = added(chart, given, colours);
        series.applyOptions({ autoscaleInfoProvider: withLevels(given.levels) });
        series.setData(given.points);
        for (const level of given.levels) {
            series.createPriceLine({
                ...{ price: level.price, title: level.title, color: colours[level.mood], lineWidth: 1 },
                ...{ lineStyle: level.mood === "entry" ? 0 : 2, axisLabelVisible: false },
            });
        }
        chart.timeScale().fitContent();
        return () => chart.remove();
    };

    document.addEventListener("DOMContentLoaded", () => {
        const places = [...document.querySelectorAll("[data-chart]")];
        let drawn = places.map(draw);
        let wasDark = isDark();
        new MutationObserver(() => {
            if (wasDark === isDark()) return;
            wasDark = isDark();
            drawn.forEach((remove) => remove());
            drawn = places.map(draw);
        }).observe(document.documentElement, { attributeFilter: ["class"] });
    });
})();
