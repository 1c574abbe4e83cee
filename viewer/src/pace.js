// Keeps turning smooth: measures the time of frames, and draws less carefully while they are slow.

const LEVELS = [
  { share: 1, scale: 1, domes: 3 },
  { share: 1, scale: 1, domes: 1 },
  { share: 0.5, scale: 1, domes: 1 },
  { share: 0.3, scale: 0.7, domes: 1 },
  { share: 0.15, scale: 0.5, domes: 1 },
  { share: 0.08, scale: 0.4, domes: 1 },
];
const SLOW = 34; // milliseconds between frames, mean of several: go a level down
const FAST = 19; // go a level up
const FRAMES = 6; // that are measured before a step
const FAR_TOO_SLOW = 90; // go two levels down after two frames
const PATIENCE = 60; // frames before a level is tried again that was too slow

export class Pace {
  constructor() {
    this.level = 0;
    this.waiting = 0;
    this.begin();
  }

  get detail() {
    return LEVELS[this.level];
  }

  // The next frame is the first of a movement.
  begin() {
    this.last = null;
    this.times = [];
  }

  // A frame was drawn at `now`, milliseconds.
  frame(now) {
    if (this.last !== null) this.times.push(now - this.last);
    this.last = now;
    this.waiting -= 1;
    const mean = this.times.reduce((sum, time) => sum + time, 0) / this.times.length;
    const down = this.times.length >= 2 && mean > FAR_TOO_SLOW ? 2 : 1;
    if (down === 1 && this.times.length < FRAMES) return;
    this.times = [];
    if (mean > SLOW) {
      this.level = Math.min(this.level + down, LEVELS.length - 1);
      this.waiting = PATIENCE;
    } else if (mean < FAST && this.level > 0 && this.waiting <= 0) {
      this.level -= 1;
      this.waiting = PATIENCE;
    }
  }
}
