// TLS with a key that all peers share, as both ends of a connection set it up: version, cipher, identity.
// Where the key comes from is mesh-key.ts; why this version and cipher: docs/password.md.
import { constants } from "node:crypto";
import type { ConnectionOptions, TlsOptions } from "node:tls";

/** Bytes of a mesh key. RFC 4279 section 5.3 asks for support of up to 64; 32 are as strong as the cipher. */
export const MESH_KEY_BYTES = 32;

/** First byte of a TLS connection: a record of type handshake (RFC 5246 section 6.2.1). HTTP begins with a letter. */
export const TLS_HANDSHAKE = 0x16;

/** Names a dialling peer to a listener without a password, and to nobody else: it stands in clear in the first record. */
export const MESH_PROTOCOL = "weave";

/** There is one key, so the identity that RFC 4279 wants says nothing. */
const IDENTITY = "weave";

const COMMON = {
  // Not 1.3: its first message carries a MAC by the pre-shared key alone, by which a listener on the wire can try passwords.
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
  // The one suite of OpenSSL with ECDHE, PSK and AEAD; no other kind of authentication may be agreed on.
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  ecdhCurve: "X25519",
  // Each connection a handshake of its own, and no second one inside it.
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const;

/** For the side that dials. The listener is who it should be when it holds the key; there is no certificate. */
export function dialOptions(key: Uint8Array): ConnectionOptions {
  return {
    ...COMMON,
    ALPNProtocols: [MESH_PROTOCOL],
    pskCallback: () => ({ psk: key, identity: IDENTITY }),
    checkServerIdentity: () => undefined,
    // No SNI: it would show in clear by which name the other host was dialled.
    servername: "",
  };
}

/** For the side that listens. */
export function listenOptions(key: Uint8Array): TlsOptions {
  return { ...COMMON, ALPNProtocols: [MESH_PROTOCOL], pskCallback: () => key };
}
