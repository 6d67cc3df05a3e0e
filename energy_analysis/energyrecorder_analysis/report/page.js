"use strict";
for (const plot of document.querySelectorAll(".plot")) {
  const data = JSON.parse(plot.querySelector("script").textContent);
  const svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const tip = plot.querySelector(".tip");
  const traces = [...svg.querySelectorAll(".trace")];
  const buttons = [...plot.parentElement.querySelectorAll(".legend button")];
  const trace = (index) => traces.find((one) => one.dataset.series === String(index));
  const two = (value) => String(value).padStart(2, "0");

  const clock = (ms) => {
    const local = new Date(data.start_ms + ms + data.offset_min * 60000);
    return [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(":");
  };
  // A value is told only where a reading is near: a hole stays a hole.
  const at = (series, ms) => {
    const t = series.t;
    let low = 0, high = t.length - 1;
    if (high < 0) return null;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (t[middle] <= ms) low = middle; else high = middle;
    }
    const near = Math.abs(t[low] - ms) <= Math.abs(t[high] - ms) ? low : high;
    const spacing = t.length > 1 ? (t[t.length - 1] - t[0]) / (t.length - 1) : 1000;
    return Math.abs(t[near] - ms) <= 2 * Math.max(spacing, 500) ? series.w[near] : null;
  };
  const line = (left, right, style) => {
    const row = document.createElement("div");
    for (const text of [left, right]) row.append(Object.assign(document.createElement("span"), { textContent: text }));
    if (style) row.style.color = style;
    tip.append(row);
  };
  const watts = (value) => value === null ? "–" : `${value.toLocaleString("en-US", { maximumFractionDigits: 1 })} W`;

  const show = (ms) => {
    const box = svg.getBoundingClientRect();
    const x = data.left + (ms / data.span_ms) * (data.right - data.left);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: clock(ms) }));
    for (const step of data.steps) {
      if (step.depth > 0 && step.from <= ms && ms < step.to) {
        tip.append(Object.assign(document.createElement("span"),
          { className: "step", textContent: `${step.name} · ${step.state} · ${step.energy}` }));
      }
    }
    const shown = data.series.map((series, index) => [series.name, at(series, ms), index])
      .filter(([, , index]) => index === 0 || !trace(index).classList.contains("off"));
    const servers = shown.slice(1).sort((a, b) => (b[1] ?? -1) - (a[1] ?? -1));
    line("total", watts(shown[0][1]), "");
    for (const [name, value, index] of servers.slice(0, 12)) {
      line(name, watts(value), getComputedStyle(trace(index)).getPropertyValue("--line"));
    }
    if (servers.length > 12) line(`and ${servers.length - 12} more`, "", "");
    tip.hidden = false;
    const pixel = x * box.width / data.width;
    const left = pixel + tip.offsetWidth + 24 < box.width ? pixel + 14 : pixel - tip.offsetWidth - 14;
    tip.style.left = `${Math.max(left, 0)}px`;
  };
  const hide = () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * data.width / box.width;
    const ms = (x - data.left) / (data.right - data.left) * data.span_ms;
    if (ms < 0 || ms > data.span_ms) hide(); else show(ms);
  });
  svg.addEventListener("pointerleave", hide);

  for (const button of buttons) {
    const own = () => trace(button.dataset.series);
    const dim = (on) => {
      for (const one of traces) if (!one.classList.contains("total")) one.classList.toggle("dim", on && one !== own());
    };
    button.addEventListener("pointerenter", () => dim(true));
    button.addEventListener("pointerleave", () => dim(false));
    button.addEventListener("click", () => {
      const off = own().classList.toggle("off");
      button.setAttribute("aria-pressed", String(!off));
    });
  }
}
