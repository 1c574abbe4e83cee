// Programs of the graphics card. Light, highlight and eye-dome numbers are those of rendering.py.

// Unpacks a vertex, cuts, and hands the surface's facts to the fragments.
const UNPACKING = `
precision highp float;
in vec4 position;            // x, y, z in the frame, and both bytes of the octahedral normal; each of 0 to 1
in float distance;           // of 0 to 1
uniform mat4 modelViewMatrix, projectionMatrix;
uniform mat3 normalMatrix;
uniform vec3 low;            // corner of the frame, mesh units
uniform float side;          // of the frame
out vec3 place;              // mesh units
out vec3 eye;                // towards the camera, in its axes
out vec3 normal;             // in the camera's axes
out vec3 ownNormal;          // in those of the shape
out float far;

vec3 unpackedNormal(float packed) {
  float both = floor(packed * 65535.0 + 0.5), first = floor(both / 256.0);
  vec2 flat2 = vec2(first, both - 256.0 * first) / 127.5 - 1.0;
  vec3 n = vec3(flat2, 1.0 - abs(flat2.x) - abs(flat2.y));
  if (n.z < 0.0) n.xy = (1.0 - abs(n.yx)) * vec2(n.x < 0.0 ? -1.0 : 1.0, n.y < 0.0 ? -1.0 : 1.0);
  return normalize(n);
}

vec4 unpacked() {
  place = low + side * position.xyz;
  vec4 seen = modelViewMatrix * vec4(place, 1.0);
  eye = -seen.xyz;
  ownNormal = unpackedNormal(position.w);
  normal = normalMatrix * ownNormal;
  if (dot(normal, eye) < 0.0) normal = -normal;  // a cloud's normals have no side
  far = distance;
  return seen;
}
`;

export const POINT_VERTICES = `${UNPACKING}
uniform vec4 cut;            // keeps what has dot(xyz, place) <= w
uniform float radius;        // of a splat, mesh units
uniform float height;        // of the picture, pixels

void main() {
  vec4 seen = unpacked();
  normal = normalize(normal);
  gl_Position = dot(cut.xyz, place) > cut.w ? vec4(2.0, 2.0, 2.0, 1.0) : projectionMatrix * seen;
  gl_PointSize = clamp(radius * projectionMatrix[1][1] * height / -seen.z, 2.0, 96.0);
}
`;

export const MESH_VERTICES = `${UNPACKING}
void main() {
  gl_Position = projectionMatrix * unpacked();
}
`;

const LIT = `
precision highp float;
in vec3 place, eye, normal, ownNormal;
in float far;
uniform vec4 cut;
uniform vec3 cutColour;
uniform float rim;           // width of the line along the cut, mesh units
uniform int colouring;
uniform vec3 tint, scale[5];
uniform vec2 heights;        // lowest and highest, mesh units
out vec4 result;

vec3 onScale(float share) {
  float at = clamp(share, 0.0, 1.0) * 4.0;
  int i = int(min(at, 3.0));
  return mix(scale[i], scale[i + 1], at - float(i));
}

vec3 ownColour() {
  if (colouring == 1) return onScale((place.y - heights.x) / (heights.y - heights.x));
  if (colouring == 2) {
    vec3 share = ownNormal * ownNormal / dot(ownNormal, ownNormal);
    return share.x * vec3(0.88, 0.54, 0.45) + share.y * vec3(0.52, 0.74, 0.53) + share.z * vec3(0.47, 0.59, 0.83);
  }
  if (colouring == 3) return onScale(far);
  return tint;
}

float lamp(vec3 n, vec3 direction) {
  return pow(0.5 + 0.5 * dot(n, normalize(direction)), 1.5);
}

vec4 lit(vec3 n) {
  float light = 0.42 + 0.62 * lamp(n, vec3(-0.45, 0.8, 0.4)) + 0.16 * lamp(n, vec3(0.8, 0.25, 0.5));
  float shine = pow(max(dot(n, vec3(-0.25, 0.45, 0.86)), 0.0), 24.0);
  vec3 colour = ownColour();
  if (dot(cut.xyz, place) > cut.w - rim) colour = mix(colour, cutColour, 0.8);
  return vec4(colour * light + 0.094 * shine, 1.0);
}
`;

// A splat is a disc on the surface, seen as an ellipse; its depth is tilted with it.
export const POINT_FRAGMENTS = `${LIT}
uniform float radius;
uniform mat4 projectionMatrix;

void main() {
  vec2 d = 2.0 * gl_PointCoord - 1.0;
  d.y = -d.y;
  float rise = -dot(normal.xy, d) / max(normal.z, 0.25);  // towards the camera, in radii
  if (dot(d, d) + rise * rise > 1.0) discard;
  float z = -eye.z + rise * radius;
  gl_FragDepth = 0.5 - 0.5 * (projectionMatrix[2][2] * z + projectionMatrix[3][2]) / z;
  result = lit(normal);
}
`;

export const MESH_FRAGMENTS = `${LIT}
void main() {
  if (dot(cut.xyz, place) > cut.w) discard;
  vec3 n = normalize(normal);
  result = lit(dot(n, eye) < 0.0 ? -n : n);
}
`;

export const SHADOW_VERTICES = `
precision highp float;
in vec3 position;
in vec2 uv;
uniform mat4 modelViewMatrix, projectionMatrix;
out vec2 at;
out vec3 place;

void main() {
  at = uv;
  place = position;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}
`;

export const SHADOW_FRAGMENTS = `
precision highp float;
in vec2 at;
in vec3 place;
uniform sampler2D covered;
uniform vec4 cut;
out vec4 result;

void main() {
  float beyond = cut.y == 0.0 ? smoothstep(0.0, 0.1, dot(cut.xyz, place) - cut.w) : 0.0;
  result = vec4(0.0, 0.0, 0.0, 0.3 * (1.0 - beyond) * texture(covered, at).r);
}
`;

export const SCREEN_VERTICES = `
in vec2 position;
void main() {
  gl_Position = vec4(position, 0.0, 1.0);
}
`;

// Eye-dome lighting (Boucheny 2009): dark in hollows and behind edges; 1 on a tilted plane, where opposite steps cancel.
export const SCREEN_FRAGMENTS = `
precision highp float;
precision highp int;
uniform sampler2D colours, depths;
uniform vec2 size;           // of what was drawn, pixels
uniform int ratio;           // its pixels for one of the picture, along a side: 1 or 2
uniform float nearest, farthest, extent;  // of the camera; of the shape; mesh units
uniform float reach;         // pixels for one of a picture 300 high
uniform int domes;
uniform vec3 background;
out vec4 result;
const vec3 DOMES[3] = vec3[3](vec3(1.0, 0.03, 0.55), vec3(3.0, 0.05, 0.35), vec3(9.0, 0.12, 0.35));
const vec2 WAYS[4] = vec2[4](vec2(1.0, 0.0), vec2(0.0, 1.0), vec2(0.7, 0.7), vec2(-0.7, 0.7));

float depthAt(ivec2 at) {    // 0 where nothing is
  float depth = texelFetch(depths, clamp(at, ivec2(0), ivec2(size) - 1), 0).r;
  return depth >= 1.0 ? 0.0 : nearest * farthest / (farthest - depth * (farthest - nearest));
}

float dome(ivec2 at) {
  float here = depthAt(at), total = 0.0;
  if (here == 0.0) return 1.0;
  for (int i = 0; i < domes; i++) {
    float cap = DOMES[i].y * extent;
    for (int j = 0; j < 4; j++) {
      ivec2 off = ivec2(round(WAYS[j] * max(1.0, DOMES[i].x * reach)));
      float one = depthAt(at + off), other = depthAt(at - off), rise = 0.0;
      if (one > 0.0) rise += clamp(here - one, -cap, cap);
      if (other > 0.0) rise += clamp(here - other, -cap, cap);
      total += DOMES[i].z * clamp(rise, 0.0, cap) / cap;
    }
  }
  return exp(-0.5 * total);
}

vec3 shaded(ivec2 at) {
  vec4 colour = texelFetch(colours, clamp(at, ivec2(0), ivec2(size) - 1), 0);
  return colour.rgb * dome(at) + background * (1.0 - colour.a);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy) * ratio;
  if (ratio == 1) result = vec4(shaded(at), 1.0);
  else result = vec4(0.25 * (shaded(at) + shaded(at + ivec2(1, 0)) + shaded(at + ivec2(0, 1)) + shaded(at + 1)), 1.0);
}
`;
