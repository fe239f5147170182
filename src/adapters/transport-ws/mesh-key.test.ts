import { describe, expect, it } from "vitest";
import { deriveMeshKey } from "./mesh-key.ts";

describe("the mesh key", () => {
  it("is the same on every host and in every version, whatever form the password's letters come in", async () => {
    const keys = await Promise.all([deriveMeshKey("caf\u00e9 au lait"), deriveMeshKey("cafe\u0301 au lait")]);
    for (const key of keys) expect(Buffer.from(key).toString("hex")).toBe(GOLDEN);
  });
});

/** scrypt of "café au lait" in UTF-8 by the numbers of docs/wire.md, by another implementation (Python's hashlib). */
const GOLDEN = "d4f3f4e98ce5fe265d54f2957e57ccf675d84d590933eeb753494cca0ac3f73e";
