/** A painted mask as a PNG: white where painted, black elsewhere, grey where the brush was soft. */

export async function maskPicture(painted: HTMLCanvasElement): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = painted.width;
  canvas.height = painted.height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser can't paint.");
  context.drawImage(painted, 0, 0);
  fill(context, "source-in", "#fff");
  fill(context, "destination-over", "#000");
  return blobOf(canvas);
}

/** A mask's picture as what was painted: as opaque as it is bright, and white. */
export function paintedIn(mask: HTMLImageElement): HTMLCanvasElement | null {
  const canvas = document.createElement("canvas");
  canvas.width = mask.naturalWidth;
  canvas.height = mask.naturalHeight;
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.drawImage(mask, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data[at + 3] = pixels.data[at] ?? 0;
    pixels.data.fill(255, at, at + 3);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Fill a canvas with one colour, as far as `how` lets it. */
export function fill(context: CanvasRenderingContext2D, how: GlobalCompositeOperation, colour: string): void {
  const { width, height } = context.canvas;
  context.globalCompositeOperation = how;
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-over";
}

function blobOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The mask can't be saved as PNG."))), "image/png");
  });
}
