import { describe, expect, it } from "vitest";
import type { PictureSource } from "../../api/types";
import { pictureName, stepTo } from "./pictures";

const picture = (more: Partial<PictureSource>): PictureSource => ({
  digest: "d",
  url: "/api/results/d",
  media_type: "image/png",
  file: "upload:d.png",
  origin: "upload",
  ...more,
});

describe("the pictures of the server", () => {
  it("are called by their name, or by their size", () => {
    expect(pictureName(picture({ file: "builtin:star.png", origin: "builtin", width_px: 9, height_px: 9 }))).toBe(
      "star.png",
    );
    expect(pictureName(picture({ width_px: 640, height_px: 480 }))).toBe("640 × 480 px");
    expect(pictureName(picture({}))).toBe("picture");
  });

  it.each([
    ["ArrowRight", 1, 2],
    ["ArrowLeft", 0, 0],
    ["ArrowDown", 1, 4],
    ["ArrowDown", 5, 5],
    ["ArrowUp", 4, 1],
    ["Home", 4, 0],
    ["End", 0, 6],
    ["Enter", 3, null],
  ])("%s leads from %i of seven in rows of three to %o", (key, at, to) => expect(stepTo(key, at, 7, 3)).toBe(to));
});
