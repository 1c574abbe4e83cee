// A shape as things that three.js draws: its points, its mesh, its shadow on the ground and the frame of the cut.

import * as THREE from "three";
import { MESH_FRAGMENTS, MESH_VERTICES, POINT_FRAGMENTS, POINT_VERTICES, SHADOW_FRAGMENTS, SHADOW_VERTICES } from "./js";

const SHADOW_CELLS = 64; // along a side of the picture of the shadow
const SHADOW_ROOM = 1.5; // its side, relative to the frame's
const SHADOW_BLUR = 2; // cells, three times over

// arrays: those of data.js; centre: what the camera looks at, mesh units; shared: uniforms of all shapes, { value } each.
export function makeSurfaces(about, arrays, centre, shared) {
  const own = {
    low: { value: new THREE.Vector3(...about.low) },
    side: { value: about.side },
    radius: { value: about.radius },
    rim: { value: 1.6 * about.radius },
    extent: { value: about.side / 2 },
  };
  const uniforms = { ...shared, ...own };
  const points = new THREE.Points(vertexGeometry(arrays.points, arrays.distances), pointMaterial(uniforms));
  const mesh = about.faces ? makeMesh(arrays, uniforms) : null;
  const shadow = makeShadow(about, arrays.points, shared);
  const scene = new THREE.Scene();
  scene.add(shadow, points, ...(mesh ? [mesh] : []));
  for (const part of scene.children) {
    part.position.set(...centre.map((value) => -value));
    part.frustumCulled = false; // three.js cannot read our packed places
  }
  return { about, scene, points, mesh, shadow, own };
}

export function middle([low, high]) {
  return low.map((value, i) => (value + high[i]) / 2);
}

function vertexGeometry(packed, distances) {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(packed, 4, true));
  if (distances) geometry.setAttribute("distance", new THREE.BufferAttribute(distances, 1, true));
  return geometry;
}

function pointMaterial(uniforms) {
  return new THREE.RawShaderMaterial({
    glslVersion: THREE.GLSL3,
    uniforms,
    vertexShader: POINT_VERTICES,
    fragmentShader: POINT_FRAGMENTS,
  });
}

function makeMesh(arrays, uniforms) {
  const geometry = vertexGeometry(arrays.vertices, arrays.distancesOfVertices);
  geometry.setIndex(new THREE.BufferAttribute(arrays.faces, 1));
  const material = new THREE.RawShaderMaterial({
    glslVersion: THREE.GLSL3,
    uniforms,
    vertexShader: MESH_VERTICES,
    fragmentShader: MESH_FRAGMENTS,
    side: THREE.DoubleSide,
  });
  return new THREE.Mesh(geometry, material);
}

// A plane under the shape, darker where the shape covers it.
function makeShadow(about, packed, shared) {
  const [x, , z] = middle(about.box);
  const half = (SHADOW_ROOM * about.side) / 2;
  const y = about.box[0][1];
  const corners = [x - half, y, z - half, x - half, y, z + half, x + half, y, z + half, x + half, y, z - half];
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(corners), 3));
  geometry.setAttribute("uv", new THREE.BufferAttribute(new Float32Array([0, 0, 0, 1, 1, 1, 1, 0]), 2));
  geometry.setIndex([0, 1, 2, 0, 2, 3]);
  const covered = new THREE.DataTexture(footprint(about, packed, x - half, z - half), SHADOW_CELLS, SHADOW_CELLS, THREE.RedFormat);
  covered.magFilter = THREE.LinearFilter;
  covered.needsUpdate = true;
  const material = new THREE.RawShaderMaterial({
    glslVersion: THREE.GLSL3,
    uniforms: { covered: { value: covered }, cut: shared.cut },
    vertexShader: SHADOW_VERTICES,
    fragmentShader: SHADOW_FRAGMENTS,
    transparent: true,
    premultipliedAlpha: true,
    depthWrite: false,
  });
  const shadow = new THREE.Mesh(geometry, material);
  return shadow;
}

// How much of each cell below the shape is covered, 0 to 255, softened.
function footprint(about, packed, left, back) {
  const cells = SHADOW_CELLS;
  const cell = (SHADOW_ROOM * about.side) / cells;
  let share = new Float32Array(cells * cells);
  for (let i = 0; i < packed.length; i += 4) {
    const column = Math.floor((about.low[0] + (packed[i] / 65535) * about.side - left) / cell);
    const row = Math.floor((about.low[2] + (packed[i + 2] / 65535) * about.side - back) / cell);
    share[row * cells + column] = 1;
  }
  for (let i = 0; i < 3; i++) share = blurred(blurred(share, cells, 1), cells, cells);
  return Uint8Array.from(share, (value) => Math.min(255, 255 * value));
}

// The mean over neighbours along one direction: step is 1 along rows, `cells` along columns.
function blurred(values, cells, step) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const at = step === 1 ? i % cells : Math.floor(i / cells);
    for (let off = -SHADOW_BLUR; off <= SHADOW_BLUR; off++) {
      if (at + off >= 0 && at + off < cells) result[i] += values[i + off * step] / (2 * SHADOW_BLUR + 1);
    }
  }
  return result;
}

// The outline of the cutting plane, in the box of all shapes; places are relative to the middle, as the camera's.
export function makeOutline() {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(12), 3));
  const material = new THREE.LineBasicMaterial({ depthWrite: false });
  const outline = new THREE.LineLoop(geometry, material);
  outline.frustumCulled = false;
  return outline;
}

export function placeOutline(outline, box, axis, at, colour) {
  outline.material.color.setRGB(...colour);
  const [low, high] = box;
  const middleOfBox = middle(box);
  const [u, v] = [0, 1, 2].filter((other) => other !== axis);
  const places = outline.geometry.attributes.position;
  [[0, 0], [1, 0], [1, 1], [0, 1]].forEach(([first, second], corner) => {
    const place = [0, 0, 0];
    place[axis] = at;
    place[u] = (first ? high : low)[u] + (first ? 0.03 : -0.03);
    place[v] = (second ? high : low)[v] + (second ? 0.03 : -0.03);
    places.setXYZ(corner, ...place.map((value, i) => value - middleOfBox[i]));
  });
  places.needsUpdate = true;
}
