// Draws one shape with one camera: first its surface with depths, then light and background in a pass over the picture.

import * as THREE from "three";
import { COLOURINGS, cutColourOf, scaleOf } from "./colours.js";
import { SCREEN_FRAGMENTS, SCREEN_VERTICES } from "./shaders.js";
import { makeOutline, placeOutline } from "./surfaces.js";

// How carefully to draw. share: of the points; scale: pixels drawn for one of the picture; domes: reaches of shading.
export const FINE = { share: 1, scale: 2, domes: 3 };
const MOST_PIXELS = 9e6; // that are drawn at scale 2

export class Drawing {
  constructor(canvas, facts) {
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: false, alpha: false, powerPreference: "high-performance" });
    this.renderer.setPixelRatio(1);
    this.renderer.autoClear = false;
    this.renderer.sortObjects = false; // it would read our packed places
    this.target = new THREE.WebGLRenderTarget(1, 1, { depthTexture: new THREE.DepthTexture(1, 1, THREE.UnsignedIntType) });
    this.target.texture.minFilter = this.target.texture.magFilter = THREE.NearestFilter;
    this.beside = new THREE.WebGLRenderTarget(1, 1, { depthBuffer: false });
    this.outline = makeOutline();
    this.shared = {
      cut: { value: new THREE.Vector4(0, 0, 0, 1) },
      cutColour: { value: new THREE.Vector3() },
      colouring: { value: 0 },
      tint: { value: new THREE.Vector3(...facts.tint.map((part) => part / 255)) },
      scale: { value: scaleOf("height").map((colour) => new THREE.Vector3(...colour)) },
      heights: { value: new THREE.Vector2() },
      height: { value: 1 },
    };
    this.makeScreen();
  }

  makeScreen() {
    this.screen = {
      colours: { value: this.target.texture },
      depths: { value: this.target.depthTexture },
      size: { value: new THREE.Vector2() },
      ratio: { value: 1 },
      nearest: { value: 1 },
      farthest: { value: 2 },
      extent: { value: 1 },
      reach: { value: 1 },
      domes: { value: 3 },
      background: { value: new THREE.Vector3() },
    };
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array([-1, -1, 3, -1, -1, 3]), 2));
    const material = new THREE.RawShaderMaterial({
      glslVersion: THREE.GLSL3,
      uniforms: this.screen,
      vertexShader: SCREEN_VERTICES,
      fragmentShader: SCREEN_FRAGMENTS,
      depthTest: false,
      depthWrite: false,
    });
    const triangle = new THREE.Mesh(geometry, material);
    triangle.frustumCulled = false;
    this.screenScene = new THREE.Scene();
    this.screenScene.add(triangle);
    this.screenCamera = new THREE.OrthographicCamera();
  }

  // look: { kind, colouring, cut: { axis (0, 1, 2 or null), at, sign }, heights, box, background }.
  setLook(look) {
    this.look = look;
    const { cut } = look;
    const colour = cutColourOf(look.colouring);
    const direction = [0, 0, 0];
    if (cut.axis !== null) {
      direction[cut.axis] = cut.sign;
      placeOutline(this.outline, look.box, cut.axis, cut.at, colour);
    }
    this.shared.cut.value.set(...direction, cut.axis === null ? 1 : cut.sign * cut.at);
    this.shared.cutColour.value.set(...colour);
    this.shared.colouring.value = COLOURINGS.indexOf(look.colouring);
    this.shared.scale.value = scaleOf(look.colouring).map((colour) => new THREE.Vector3(...colour));
    this.shared.heights.value.set(...look.heights);
    this.screen.background.value.set(...look.background);
  }

  // Draws into the canvas, which gets that size in pixels, or a smaller one where the scale is below 1.
  draw(surfaces, camera, fullWidth, fullHeight, detail) {
    const { domElement } = this.renderer;
    const [width, height] = [fullWidth, fullHeight].map((length) => Math.max(1, Math.round(length * Math.min(1, detail.scale))));
    if (domElement.width !== width || domElement.height !== height) this.renderer.setSize(width, height, false);
    this.drawInto(null, surfaces, camera, width, height, { ...detail, scale: Math.max(1, detail.scale) });
  }

  // Draws beside the canvas, and returns the pixels as ImageData; slower, since they have to come back at once.
  pixels(surfaces, camera, width, height, detail) {
    if (this.beside.width !== width || this.beside.height !== height) this.beside.setSize(width, height);
    this.drawInto(this.beside, surfaces, camera, width, height, detail);
    const upsideDown = new Uint8Array(4 * width * height);
    this.renderer.readRenderTargetPixels(this.beside, 0, 0, width, height, upsideDown);
    const image = new ImageData(width, height);
    for (let row = 0; row < height; row++) {
      image.data.set(upsideDown.subarray(4 * width * row, 4 * width * (row + 1)), 4 * width * (height - 1 - row));
    }
    return image;
  }

  drawInto(goal, surfaces, camera, width, height, detail) {
    const { renderer, target, look } = this;
    const scale = detail.scale > 1 && 4 * width * height > MOST_PIXELS ? 1 : detail.scale;
    const [drawnWidth, drawnHeight] = [width, height].map((length) => Math.max(1, Math.round(scale * length)));
    if (target.width !== drawnWidth || target.height !== drawnHeight) target.setSize(drawnWidth, drawnHeight);
    this.prepare(surfaces, detail, drawnHeight);
    renderer.setRenderTarget(target);
    renderer.setClearColor(0x000000, 0);
    renderer.clear();
    renderer.render(surfaces.scene, camera);
    const cutting = look.cut.axis !== null;
    if (cutting) renderer.render(this.outline, camera);
    this.screen.size.value.set(drawnWidth, drawnHeight);
    this.screen.ratio.value = scale;
    this.screen.nearest.value = camera.near;
    this.screen.farthest.value = camera.far;
    this.screen.extent.value = surfaces.about.side / 2;
    this.screen.reach.value = drawnHeight / 340;
    this.screen.domes.value = detail.domes;
    renderer.setRenderTarget(goal);
    renderer.render(this.screenScene, this.screenCamera);
  }

  // Fewer points, as while the shape turns, are drawn larger, so that no gaps open.
  prepare(surfaces, detail, height) {
    const asMesh = this.look.kind === "mesh" && surfaces.mesh !== null;
    surfaces.points.visible = !asMesh;
    if (surfaces.mesh) surfaces.mesh.visible = asMesh;
    surfaces.points.geometry.setDrawRange(0, Math.ceil(detail.share * surfaces.about.count));
    surfaces.own.radius.value = surfaces.about.radius / Math.sqrt(detail.share);
    this.shared.height.value = height;
  }
}
