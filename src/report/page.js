"use strict";
(() => {
  const { places, ratings, names } = JSON.parse(document.getElementById("items-data").textContent);
  const canvas = document.getElementById("map"), told = document.getElementById("told");
  const find = document.getElementById("find"), found = document.getElementById("found");
  const n = names.length, most = Math.max(1, ...ratings.slice(0, 1));
  const lower = names.map((name) => name.toLowerCase());
  // What is looked at: the middle and how many of the map's units the shorter side shows.
  let middle = [0.5, 0.5], span = 1, chosen = -1, hits = [];
  const all = () => {
    let [x0, x1, y0, y1] = [1, 0, 1, 0];
    for (let i = 0; i < n; i++) {
      const [x, y] = place(i);
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
    middle = [(x0 + x1) / 2, (y0 + y1) / 2];
    const { width, height } = canvas.getBoundingClientRect(), short = Math.min(width, height) || 1;
    span = 1.08 * Math.max((x1 - x0) * short / (width || 1), (y1 - y0) * short / (height || 1), 1e-6);
  };
  const place = (i) => [places[2 * i] / 65535, places[2 * i + 1] / 65535];
  const view = () => {
    const { width, height } = canvas.getBoundingClientRect();
    const scale = Math.min(width, height) / span;
    return { width, height, scale };
  };
  const size = (i) => 1.2 + 4.5 * Math.sqrt(ratings[i] / most);
  let queued = false;
  const draw = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      const { width, height, scale } = view(), dots = window.devicePixelRatio || 1;
      canvas.width = Math.round(width * dots); canvas.height = Math.round(height * dots);
      const to = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      to.setTransform(dots, 0, 0, dots, 0, 0);
      const at = (i) => {
        const [x, y] = place(i);
        return [width / 2 + (x - middle[0]) * scale, height / 2 - (y - middle[1]) * scale];
      };
      const dot = (i, radius) => {
        const [x, y] = at(i);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
        to.beginPath(); to.arc(x, y, radius, 0, 7); to.fill();
      };
      to.fillStyle = colour("--s0"); to.globalAlpha = n > 5000 ? 0.35 : 0.55;
      for (let i = n - 1; i >= 0; i--) dot(i, size(i));
      to.globalAlpha = 1; to.fillStyle = colour("--s1");
      for (const i of hits) dot(i, size(i) + 2);
      // Names of the most rated ones where they do not lie on each other.
      to.font = "12px system-ui, sans-serif"; to.fillStyle = colour("--ink"); to.textBaseline = "middle";
      const taken = [];
      const label = (i) => {
        const [x, y] = at(i), text = names[i].length > 28 ? names[i].slice(0, 27) + "…" : names[i];
        const box = [x + 6, y - 8, x + 10 + to.measureText(text).width, y + 8];
        if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) return;
        if (taken.some((o) => box[0] < o[2] && o[0] < box[2] && box[1] < o[3] && o[1] < box[3])) return;
        taken.push(box); to.fillText(text, x + 8, y);
      };
      if (chosen >= 0) label(chosen);
      hits.slice(0, 30).forEach(label);
      for (let i = 0, seen = 0; i < n && taken.length < 36 && seen < 400; i++) {
        const [x, y] = at(i);
        if (x > 0 && y > 0 && x < width && y < height) { seen++; label(i); }
      }
      if (chosen >= 0) {
        const [x, y] = at(chosen);
        to.strokeStyle = colour("--ink"); to.lineWidth = 2;
        to.beginPath(); to.arc(x, y, size(chosen) + 4, 0, 7); to.stroke();
      }
    });
  };
  const tell = (i) => {
    chosen = i;
    told.textContent = i < 0 ? "" : `${names[i]}: ${ratings[i]} training rating${ratings[i] === 1 ? "" : "s"}`;
    draw();
  };
  const nearest = (event) => {
    const box = canvas.getBoundingClientRect(), { width, height, scale } = view();
    const x = middle[0] + (event.clientX - box.left - width / 2) / scale;
    const y = middle[1] - (event.clientY - box.top - height / 2) / scale;
    let best = -1, least = (14 / scale) ** 2;
    for (let i = 0; i < n; i++) {
      const [a, b] = place(i), away = (a - x) ** 2 + (b - y) ** 2;
      if (away < least) { least = away; best = i; }
    }
    return best;
  };
  const zoom = (by) => { span = Math.min(4, Math.max(1e-4, span * by)); draw(); };
  const search = () => {
    const text = find.value.trim().toLowerCase();
    hits = [];
    for (let i = 0; text && i < n && hits.length < 200; i++) if (lower[i].includes(text)) hits.push(i);
    found.replaceChildren(...hits.slice(0, 20).map((i) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.textContent = names[i];
      button.addEventListener("click", () => { middle = place(i); span = Math.min(span, 0.12); tell(i); });
      item.append(button);
      return item;
    }));
    told.textContent = text ? (hits.length ? `${hits.length === 200 ? "200 or more" : hits.length} found` : "none found") : "";
    draw();
  };
  let from = null;
  canvas.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) { tell(nearest(event)); return; }
    const { scale } = view();
    middle = [middle[0] - (event.clientX - from[0]) / scale, middle[1] + (event.clientY - from[1]) / scale];
    from = [event.clientX, event.clientY];
    draw();
  });
  // A page is scrolled by the wheel; with Ctrl, or two fingers on a pad, the map is zoomed.
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 200));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = span / 8, key = event.key;
    if (key === "ArrowLeft") middle[0] -= step;
    else if (key === "ArrowRight") middle[0] += step;
    else if (key === "ArrowUp") middle[1] += step;
    else if (key === "ArrowDown") middle[1] -= step;
    else if (key === "+" || key === "=") zoom(0.7);
    else if (key === "-") zoom(1.4);
    else return;
    event.preventDefault();
    draw();
  });
  document.getElementById("closer").addEventListener("click", () => zoom(0.7));
  document.getElementById("farther").addEventListener("click", () => zoom(1.4));
  document.getElementById("whole").addEventListener("click", () => { all(); draw(); });
  find.addEventListener("input", search);
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  all();
  draw();
})();
