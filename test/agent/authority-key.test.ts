import { describe, expect, it } from "vitest";
import { authorityKeyText, parseAuthorityKey } from "../../src/agent/authority-key.ts";
import { fileSchema } from "../../src/agent/config-schema.ts";

const AUTHORITY = Buffer.alloc(32, 7).toString("base64");

describe("the key authority of a cluster file", () => {
  it("is 32 bytes in base64, written in one way", () => {
    const key = parseAuthorityKey(AUTHORITY);
    expect(key).toEqual(new Uint8Array(32).fill(7));
    expect(key && authorityKeyText(key)).toBe(AUTHORITY);
    expect(fileSchema.parse({ authority: ` ${AUTHORITY}\n` }).authority).toEqual(key);
    expect(fileSchema.parse({}).authority).toBeUndefined();
  });

  it.each(["", "abc", AUTHORITY.slice(0, 42), AUTHORITY.slice(0, 43), `${AUTHORITY}AAAA`, 7])(
    "%j is refused: with it nobody would be a member",
    (authority) => {
      const checked = fileSchema.safeParse({ authority });
      expect(checked.error?.issues[0]?.message).toMatch(/is no public key: use the one that /);
    },
  );
});
