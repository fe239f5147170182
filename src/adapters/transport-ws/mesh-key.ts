// The key that peers prove to each other, made from the password they were launched with. Costly on purpose, and only once
// per start: whoever has recorded a handshake as one of its ends must pay the same for each password he tries.
import { scrypt } from "node:crypto";
import { MESH_KEY_BYTES } from "./psk.ts";

/**
 * RFC 7914; the first of OWASP's recommendations. 128 MiB and under a second here, see docs/password.md. Part of the protocol:
 * peers with other numbers come to other keys.
 */
const COST = { N: 2 ** 17, r: 8, p: 1 } as const;
/** 128 * N * r, and some for the rest. */
const MAX_MEMORY_BYTES = 144 << 20;
/** Every peer must come to the same key before it has heard anything from another, so the salt is the same everywhere. */
const SALT = "weave mesh key 1";

/** Bytes for `WsTransportOptions.key`. The same password in another Unicode form makes the same key. */
export function deriveMeshKey(password: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { ...COST, maxmem: MAX_MEMORY_BYTES };
    scrypt(password.normalize("NFC"), SALT, MESH_KEY_BYTES, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
