/** The real ciphers through Node, so that both engines and the raw peer speak the same bytes. */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Aead } from "../../sim/cheap-aead.ts";
import { TAG_BYTES } from "../../sim/datagram.ts";
import type { Cipher, DirectionKeys } from "../../src/base/engine.ts";

interface Prepared {
  readonly cipher: Cipher;
  readonly key: Uint8Array;
}

export const NODE_AEAD: Aead = {
  prepare: (cipher, keys: DirectionKeys): Prepared => ({ cipher, key: keys.key.slice() }),
  seal(prepared, nonce, datagram, from) {
    const end = datagram.length - TAG_BYTES;
    const cipher = makeCipher(prepared as Prepared, nonce);
    datagram.set(cipher.update(datagram.subarray(from, end)), from);
    cipher.final();
    datagram.set(cipher.getAuthTag(), end);
  },
  open(prepared, nonce, datagram, from) {
    const end = datagram.length - TAG_BYTES;
    const decipher = makeDecipher(prepared as Prepared, nonce);
    const plain = decipher.update(datagram.subarray(from, end));
    decipher.setAuthTag(datagram.subarray(end));
    try {
      decipher.final();
      return new Uint8Array(plain);
    } catch {
      return undefined;
    }
  },
};

function makeCipher({ cipher, key }: Prepared, nonce: Uint8Array) {
  return cipher === "aes256gcm"
    ? createCipheriv("aes-256-gcm", key, nonce)
    : createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG_BYTES });
}

function makeDecipher({ cipher, key }: Prepared, nonce: Uint8Array) {
  return cipher === "aes256gcm"
    ? createDecipheriv("aes-256-gcm", key, nonce)
    : createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG_BYTES });
}
