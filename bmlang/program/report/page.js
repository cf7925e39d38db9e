"use strict";
// Tables are sorted by a click on a head, timelines are zoomed with the wheel and moved by dragging. Nothing is loaded from anywhere.

const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"];
const TRACKS = ["gdma", "tiu"];
const LEFT = 44, TOP = 6, TRACK = 48, GAP = 8;

// ---------------------------------------------------------------- tables

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
}

function compare(one, other) {
  return typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
}

function sortBy(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const number = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  const order = before === "descending" ? "ascending" : before === "ascending" ? "descending" : number ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((one, other) => sign * compare(cellValue(one, column), cellValue(other, column)));
  body.append(...rows);
}

for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

for (const field of document.querySelectorAll("input.filter")) {
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of document.getElementById(field.dataset.table).tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}

// ---------------------------------------------------------------- timelines

class Timeline {
  constructor(place) {
    this.place = place;
    this.data = JSON.parse(document.getElementById(place.dataset.source).textContent);
    this.canvas = place.querySelector("canvas");
    this.tip = place.querySelector(".tip");
    this.from = 0;
    this.until = this.data.cycles;
    this.chosen = null;
    this.canvas.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.grab(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerup", () => { this.held = null; });
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("dblclick", () => this.show(0, this.data.cycles));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.draw();
  }

  get scale() { return (this.canvas.clientWidth - LEFT) / (this.until - this.from); }

  show(from, until) {
    const size = Math.min(Math.max(until - from, 16), this.data.cycles);
    this.from = Math.min(Math.max(from, 0), this.data.cycles - size);
    this.until = this.from + size;
    this.draw();
  }

  choose(layer) {
    this.chosen = this.chosen === layer ? null : layer;
    const boxes = TRACKS.flatMap((engine) => this.data[engine]).filter((box) => box[3] === layer);
    if (this.chosen === null || !boxes.length) return this.show(0, this.data.cycles);
    const first = Math.min(...boxes.map((box) => box[0])), last = Math.max(...boxes.map((box) => box[0] + box[1]));
    const margin = (last - first) * 0.1;
    this.show(first - margin, last + margin);
  }

  cycle(event) { return this.from + (event.offsetX - LEFT) / this.scale; }

  zoom(event) {
    event.preventDefault();
    const centre = this.cycle(event), factor = Math.exp(event.deltaY * 0.0015);
    this.show(centre - (centre - this.from) * factor, centre + (this.until - centre) * factor);
  }

  grab(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.held = { x: event.offsetX, from: this.from, until: this.until };
  }

  move(event) {
    if (this.held) {
      const moved = (event.offsetX - this.held.x) / this.scale;
      this.show(this.held.from - moved, this.held.until - moved);
      return;
    }
    const track = Math.floor((event.offsetY - TOP) / (TRACK + GAP)), now = this.cycle(event);
    const box = (this.data[TRACKS[track]] || []).find((each) => each[0] <= now && now < each[0] + each[1]);
    this.tip.hidden = !box;
    if (!box) return;
    const [start, size, kind, layer, count] = box;
    const lines = [count > 1 ? `${count} commands from ${this.data.kinds[kind]} on` : this.data.kinds[kind]];
    if (layer >= 0) lines.push(this.data.layers[layer]);
    lines.push(`cycles ${start.toLocaleString("en")} to ${(start + size).toLocaleString("en")}`);
    this.tip.textContent = lines.join("\n");
    this.tip.style.left = `${Math.min(event.offsetX + 12, this.canvas.clientWidth - 260)}px`;
    this.tip.style.top = `${event.offsetY + 12}px`;
  }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "11px ui-monospace, monospace";
    const ink = getComputedStyle(canvas).color;
    TRACKS.forEach((engine, track) => {
      const y = TOP + track * (TRACK + GAP);
      pen.globalAlpha = 1;
      for (const [start, size, kind, layer] of this.data[engine]) {
        if (start + size < this.from || start > this.until) continue;
        const x = Math.max(LEFT, LEFT + (start - this.from) * this.scale), end = LEFT + (start + size - this.from) * this.scale;
        pen.fillStyle = PALETTE[(layer >= 0 ? layer : kind) % PALETTE.length];
        pen.globalAlpha = this.chosen === null || this.chosen === layer ? 1 : 0.2;
        pen.fillRect(x, y, Math.max(end - x, 0.5), TRACK);
      }
      pen.globalAlpha = 1;
      pen.fillStyle = ink;
      pen.fillText(engine, 4, y + TRACK / 2 + 4);
    });
    this.axis(pen, TOP + 2 * (TRACK + GAP) + 14);
  }

  axis(pen, y) {
    const raw = (this.until - this.from) / 6, power = 10 ** Math.floor(Math.log10(raw));
    const step = Math.max(1, [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw));
    for (let tick = Math.ceil(this.from / step) * step; tick <= this.until; tick += step) {
      const x = LEFT + (tick - this.from) * this.scale;
      pen.fillRect(x, y - 14, 1, 4);
      pen.fillText(tick.toLocaleString("en"), Math.min(x, this.canvas.clientWidth - 60), y);
    }
  }
}

for (const place of document.querySelectorAll(".timeline")) {
  const timeline = new Timeline(place), table = document.getElementById(place.dataset.layers);
  for (const row of table ? table.tBodies[0].rows : []) {
    row.addEventListener("click", () => {
      timeline.choose(Number(row.dataset.layer));
      for (const other of table.tBodies[0].rows) other.classList.toggle("chosen", timeline.chosen === Number(other.dataset.layer));
    });
  }
}
document.documentElement.dataset.ready = "true";
