// What the page holds: facts as JSON, points and meshes as compressed bytes. The other end of packing.py.

const BYTES_A_VERTEX = 8;

export function readFacts() {
  return JSON.parse(document.getElementById("facts").textContent);
}

// The arrays of shape n: points and vertices as (x, y, z, normal) of 16 bits each, faces, and distances as bytes.
export async function readArrays(n, about, hasDistances) {
  const element = document.getElementById(`data-${n}`);
  const buffer = await inflated(bytesOf(element.textContent));
  element.remove(); // its text is not needed again
  let at = 0;
  const next = (Kind, count) => {
    const part = new Kind(buffer, at, count);
    at += part.byteLength;
    return part;
  };
  const points = next(Uint16Array, (about.count * BYTES_A_VERTEX) / 2);
  const vertices = next(Uint16Array, (about.vertices * BYTES_A_VERTEX) / 2);
  const faces = next(Uint32Array, 3 * about.faces);
  const distances = hasDistances ? next(Uint8Array, about.count) : null;
  const distancesOfVertices = hasDistances ? next(Uint8Array, about.vertices) : null;
  return { points, vertices, faces, distances, distancesOfVertices };
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
