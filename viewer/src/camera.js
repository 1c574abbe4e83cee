// Where shapes are looked at from: one direction for all of them, and for the large one distance and place too.

import * as THREE from "three";
import { middle } from "./surfaces.js";

const VIEW = { azimuth: 52, elevation: 20 }; // degrees, as "three_quarter" of rendering.py: from the front left
const FIELD = 26; // degrees, from the top to the bottom
const MARGIN = 0.98; // of the corners of the box, which shapes hardly reach
const STEP = Math.PI / 24; // of an arrow key

export class Cameras {
  // box: [low, high] of all shapes; the camera's zero is its middle. stage: the canvas whose gestures move the camera.
  constructor(box, stage) {
    const centre = middle(box);
    this.corners = [0, 1, 2, 3, 4, 5, 6, 7].map(
      (n) => new THREE.Vector3(...[0, 1, 2].map((i) => box[(n >> i) & 1][i] - centre[i])),
    );
    this.extent = Math.max(...this.corners.map((corner) => corner.length()));
    this.large = new THREE.PerspectiveCamera(FIELD);
    this.small = new THREE.PerspectiveCamera(FIELD);
    this.controls = new THREE.OrbitControls(this.large, stage);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.15;
    this.controls.zoomToCursor = true;
    this.large.aspect = 1.6;
    this.reset();
  }

  reset() {
    const [azimuth, elevation] = [VIEW.azimuth, VIEW.elevation].map((angle) => (angle * Math.PI) / 180);
    const across = Math.cos(elevation);
    const direction = new THREE.Vector3(-Math.sin(azimuth) * across, Math.sin(elevation), -Math.cos(azimuth) * across);
    this.controls.target.set(0, 0, 0);
    this.look(this.large, direction, this.large.aspect);
    this.limit();
    this.controls.update();
  }

  // The distance from which everything is seen at any azimuth, in a picture of that aspect.
  distanceFor(direction, aspect) {
    const slope = Math.tan((FIELD * Math.PI) / 360);
    const polar = new THREE.Vector3(Math.hypot(direction.x, direction.z), direction.y, 0).normalize();
    let distance = 0;
    for (let n = 0; n < 16; n++) {
      const back = polar.clone().applyAxisAngle(new THREE.Vector3(0, 1, 0), (n * Math.PI) / 8);
      const right = new THREE.Vector3(back.z, 0, -back.x).normalize();
      const up = back.clone().cross(right);
      for (const corner of this.corners) {
        const wide = Math.max(Math.abs(corner.dot(right)) / aspect, Math.abs(corner.dot(up)));
        distance = Math.max(distance, (MARGIN * wide) / slope + corner.dot(back));
      }
    }
    return distance;
  }

  look(camera, direction, aspect) {
    camera.aspect = aspect;
    camera.position.copy(direction).multiplyScalar(this.distanceFor(direction, aspect));
    camera.lookAt(0, 0, 0);
    this.setDepths(camera, camera.position.length());
  }

  setDepths(camera, distance) {
    camera.near = Math.max(distance - 2 * this.extent, 0.02 * this.extent);
    camera.far = distance + 3 * this.extent;
    camera.updateProjectionMatrix();
  }

  // The camera of the large picture, at that aspect: what is near the middle keeps its size.
  forLarge(aspect) {
    if (Math.abs(aspect - this.large.aspect) > 1e-3) {
      const offset = this.large.position.clone().sub(this.controls.target);
      const direction = offset.clone().normalize();
      const ratio = this.distanceFor(direction, aspect) / this.distanceFor(direction, this.large.aspect);
      this.large.aspect = aspect;
      this.large.position.copy(this.controls.target).add(offset.multiplyScalar(ratio));
      this.limit();
    }
    this.setDepths(this.large, this.large.position.distanceTo(new THREE.Vector3()));
    return this.large;
  }

  limit() {
    this.controls.minDistance = 0.15 * this.extent;
    this.controls.maxDistance = 3 * this.distanceFor(this.direction(), this.large.aspect);
  }

  // The camera of the small pictures: the same direction, with the whole shape in view.
  forSmall(aspect) {
    this.look(this.small, this.direction(), aspect);
    return this.small;
  }

  direction() {
    return this.large.position.clone().sub(this.controls.target).normalize();
  }

  // Turns by angles, radians, around the vertical axis and towards the top.
  turn(around, upwards) {
    const offset = this.large.position.clone().sub(this.controls.target);
    const distance = offset.length();
    const polar = Math.min(Math.max(Math.acos(offset.y / distance) - upwards, 0.01), Math.PI - 0.01);
    const azimuth = Math.atan2(offset.x, offset.z) + around;
    offset.set(Math.sin(polar) * Math.sin(azimuth), Math.cos(polar), Math.sin(polar) * Math.cos(azimuth));
    this.large.position.copy(this.controls.target).addScaledVector(offset, distance);
    this.controls.update();
  }

  zoom(factor) {
    const offset = this.large.position.clone().sub(this.controls.target);
    const distance = Math.min(Math.max(offset.length() / factor, this.controls.minDistance), this.controls.maxDistance);
    this.large.position.copy(this.controls.target).addScaledVector(offset.normalize(), distance);
    this.controls.update();
  }

  // Whether the key moved the camera.
  key(key) {
    const moves = {
      ArrowLeft: () => this.turn(-STEP, 0),
      ArrowRight: () => this.turn(STEP, 0),
      ArrowUp: () => this.turn(0, STEP),
      ArrowDown: () => this.turn(0, -STEP),
      "+": () => this.zoom(1.15),
      "=": () => this.zoom(1.15),
      "-": () => this.zoom(1 / 1.15),
      r: () => this.reset(),
      R: () => this.reset(),
    };
    if (!Object.hasOwn(moves, key)) return false;
    moves[key]();
    return true;
  }
}
