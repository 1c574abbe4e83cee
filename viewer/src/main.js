// Puts the parts together: reads the data, and draws whenever something changed.

import { Cameras } from "./camera.js";
import { showLegend } from "./colours.js";
import { Controls, backgroundColour, themeSwitch } from "./controls.js";
import { readArrays, readFacts } from "./data.js";
import { Drawing, FINE } from "./drawing.js";
import { makeCards, turnByDragging } from "./gallery.js";
import { Pace } from "./pace.js";
import { pictureOfAll, saveCanvas } from "./picture.js";
import { makeSurfaces, middle } from "./surfaces.js";

const POINTS_A_PIXEL = 0.6; // in small pictures
const REST = 160; // milliseconds without movement, after which the picture is drawn finely
const byId = (id) => document.getElementById(id);

class Page {
  constructor(facts) {
    this.facts = facts;
    this.box = joinedBox(facts.shapes);
    this.shapes = facts.shapes.map(() => null); // filled as the data are read
    this.chosen = null; // number of the shape that is shown large
    this.stale = new Set(); // cards to draw again
    this.moving = false; // since the last frame
    this.restAt = -Infinity; // milliseconds: when to draw finely
    this.waiting = false; // for the next frame
    this.stageStale = false;
    this.stage = byId("stage");
    this.drawing = new Drawing(this.stage, facts);
    this.cameras = new Cameras(this.box, this.stage);
    this.pace = new Pace();
    this.cards = makeCards(byId("gallery"), facts.shapes, (n) => (location.hash = `#${n + 1}`));
    this.controls = new Controls(byId("controls"), facts, this.box, () => this.restyle());
    this.controls.setSide((axis) => (this.cameras.direction().getComponent(axis) < 0 ? -1 : 1));
    this.describe();
    this.listen();
  }

  describe() {
    const { shapes } = this.facts;
    byId("actions").hidden = false;
    const counts = new Set(shapes.map((about) => about.count));
    const shown = counts.size === 1 ? `, ${number(shapes[0].count)} points each` : "";
    byId("summary").textContent = `${number(shapes.length)} ${shapes.length === 1 ? "shape" : "shapes"}${shown}`;
  }

  listen() {
    this.cameras.controls.addEventListener("change", () => this.moved());
    turnByDragging(byId("gallery"), (...angles) => this.turn(...angles), () => this.chosen === null);
    byId("close").addEventListener("click", () => this.leave());
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("reset").addEventListener("click", () => this.cameras.reset());
    byId("save").addEventListener("click", () => this.save());
    addEventListener("hashchange", () => this.follow());
    addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("webglcontextrestored", () => this.restyle());
    const sizes = new ResizeObserver(() => this.restyle());
    sizes.observe(byId("large"));
    sizes.observe(byId("gallery"));
    themeSwitch(byId("theme"), () => this.restyle());
  }

  async read() {
    const hasDistances = this.facts.largestDistance !== null;
    for (const [n, about] of this.facts.shapes.entries()) {
      const arrays = await readArrays(n, about, hasDistances);
      this.shapes[n] = makeSurfaces(about, arrays, middle(this.box), this.drawing.shared);
      this.stale.add(n);
      this.stageStale ||= n === this.chosen;
      this.wake();
    }
  }

  turn(around, upwards) {
    this.cameras.turn(around, upwards);
    this.moved();
  }

  moved() {
    this.moving = true;
    this.stageStale = true;
    this.staleCards();
    this.wake();
  }

  // Colours, cut, theme or sizes changed.
  restyle() {
    const { kind, colouring, cut } = this.controls;
    const heights = [this.box[0][1], this.box[1][1]];
    this.drawing.setLook({ kind, colouring, cut, heights, box: this.box, background: backgroundColour() });
    showLegend(byId("legend"), colouring, heights, this.facts.largestDistance);
    this.stageStale = true;
    this.staleCards();
    this.wake();
  }

  staleCards() {
    this.shapes.forEach((shape, n) => shape && this.stale.add(n));
  }

  wake() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.waiting = false;
    this.cameras.controls.update(); // a movement that dies away calls moved()
    if (this.moving) {
      this.moving = false;
      this.drawMoving(now);
      this.restAt = performance.now() + REST; // counted from the end of a slow frame
    }
    if (performance.now() < this.restAt) {
      this.wake();
      return;
    }
    this.pace.begin();
    this.drawResting();
    if (this.stale.size) this.wake();
  }

  // What is drawn here stays stale, to be drawn finely later.
  drawMoving(now) {
    if (this.chosen === null) [...this.stale].forEach((n) => this.drawCard(n, this.pace.detail));
    else this.drawStage(this.pace.detail);
    this.pace.frame(now);
  }

  // One card a frame, so that the page stays quick; the large shape first.
  drawResting() {
    if (this.chosen !== null && this.stageStale) {
      this.drawStage(FINE);
      this.stageStale = false;
      return;
    }
    const [n] = this.stale;
    if (n === undefined) return;
    this.drawCard(n, FINE);
    this.stale.delete(n);
  }

  drawStage(detail) {
    const shape = this.shapes[this.chosen];
    const [width, height] = pixelsOf(this.stage);
    if (shape) this.drawing.draw(shape, this.cameras.forLarge(width / height), width, height, detail);
  }

  // A small picture needs no more points than it has pixels to show them.
  drawCard(n, { share, scale, domes }) {
    const { canvas } = this.cards[n];
    const [width, height] = pixelsOf(canvas);
    const needed = (POINTS_A_PIXEL * width * height) / this.facts.shapes[n].count;
    const detail = { share: Math.min(share, needed), scale, domes };
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    if (this.chosen === null) {
      const drawn = this.drawSmall(n, width, height, detail);
      context.drawImage(drawn, 0, 0, drawn.width, drawn.height, 0, 0, width, height);
    } else {
      const camera = this.cameras.forSmall(width / height);
      context.putImageData(this.drawing.pixels(this.shapes[n], camera, width, height, detail), 0, 0);
    }
  }

  drawSmall(n, width, height, detail = FINE) {
    this.drawing.draw(this.shapes[n], this.cameras.forSmall(width / height), width, height, detail);
    return this.stage;
  }

  // Shows the shape that the address names after its #, or all.
  follow() {
    const n = Number(location.hash.slice(1)) - 1;
    const before = this.chosen;
    this.chosen = Number.isInteger(n) && n >= 0 && n < this.shapes.length ? n : null;
    document.body.classList.toggle("one", this.chosen !== null);
    byId("large").hidden = this.chosen === null;
    this.cards.forEach(({ button }, i) => button.setAttribute("aria-current", String(i === this.chosen)));
    if (this.chosen !== null) this.showAbout(before === null);
    else if (before !== null) this.cards[before].button.focus();
    this.stageStale = true;
    this.staleCards();
    this.wake();
  }

  showAbout(focus) {
    const about = this.facts.shapes[this.chosen];
    byId("name").textContent = about.name;
    this.stage.setAttribute("aria-label", `Shape ${about.name}, in three dimensions`);
    const lines = [...about.facts, ["points", share(about.count, about.countInFile)]];
    if (about.faces) lines.push(["faces", share(about.faces, about.facesInFile)]);
    if (about.nearest !== null) lines.push(["nearest training shape", about.nearest]);
    const list = byId("facts-shown");
    list.replaceChildren();
    for (const [label, value] of lines) {
      list.appendChild(document.createElement("dt")).textContent = label;
      list.appendChild(document.createElement("dd")).textContent = value;
    }
    this.cards[this.chosen].button.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (focus) this.stage.focus({ preventScroll: true });
  }

  step(by) {
    const count = this.shapes.length;
    location.replace(`#${((this.chosen + by + count) % count) + 1}`);
  }

  leave() {
    location.hash = "";
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "range" || event.target.type === "radio") return;
    const others = { Escape: () => this.leave(), n: () => this.step(1), p: () => this.step(-1) };
    const cuts = { "[": () => this.controls.move(-1), "]": () => this.controls.move(1) };
    const action = cuts[event.key] ?? (this.chosen === null ? undefined : others[event.key]);
    if (action) action();
    else if (this.chosen === null || !this.cameras.key(event.key)) return;
    event.preventDefault();
  }

  save() {
    if (this.shapes.includes(null)) return; // still reading
    if (this.chosen === null) {
      saveCanvas(pictureOfAll(this.facts.shapes, (n, width, height) => this.drawSmall(n, width, height)), this.facts.title);
      return;
    }
    const [width, height] = pixelsOf(this.stage);
    this.drawing.draw(this.shapes[this.chosen], this.cameras.forLarge(width / height), width, height, FINE);
    saveCanvas(this.stage, this.facts.shapes[this.chosen].name);
  }
}

function joinedBox(shapes) {
  const corner = (side, choose) => [0, 1, 2].map((i) => choose(...shapes.map((about) => about.box[side][i])));
  return [corner(0, Math.min), corner(1, Math.max)];
}

function pixelsOf(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = Math.min(devicePixelRatio, 2);
  return [width, height].map((length) => Math.max(1, Math.round(length * ratio)));
}

function number(value) {
  return value.toLocaleString("en");
}

function share(shown, all) {
  return shown === all ? number(all) : `${number(shown)} of ${number(all)}`;
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
}

async function start() {
  const facts = readFacts();
  document.title = byId("title").textContent = facts.title;
  if (!window.DecompressionStream) return trouble("This browser is too old for this page: Chrome 80, Firefox 113 or Safari 16.4 are needed.");
  if (!document.createElement("canvas").getContext("webgl2")) return trouble("This browser shows no WebGL 2, with which this page draws.");
  const page = new Page(facts);
  page.follow();
  await page.read();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  trouble("The page could not be drawn.");
  throw error;
});
