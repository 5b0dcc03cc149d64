/** Binary frames of the event socket: 4 bytes of header length (big-endian), a JSON header, then a picture. */

export interface PreviewHeader {
  readonly type: "preview";
  readonly run_id: string;
  readonly node: string;
  readonly media_type: string;
}

export interface Preview extends PreviewHeader {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const LENGTH_BYTES = 4;

/** The preview in a frame; null when the frame is none that this editor knows. */
export function readFrame(frame: ArrayBuffer): Preview | null {
  if (frame.byteLength < LENGTH_BYTES) return null;
  const length = new DataView(frame).getUint32(0);
  if (LENGTH_BYTES + length > frame.byteLength) return null;
  const header = readHeader(new Uint8Array(frame, LENGTH_BYTES, length));
  return header && { ...header, bytes: new Uint8Array(frame, LENGTH_BYTES + length) };
}

function readHeader(bytes: Uint8Array): PreviewHeader | null {
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes)) as Partial<PreviewHeader> | null;
    const known = header?.type === "preview" && header.node !== undefined && header.run_id !== undefined;
    return known && header.media_type?.startsWith("image/") ? (header as PreviewHeader) : null;
  } catch {
    return null;
  }
}
