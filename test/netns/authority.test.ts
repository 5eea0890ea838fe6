import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { eventually, type Finished } from "../../lab/shell.ts";
import { decodeToken, encodeToken } from "../../src/agent/join-token.ts";
import { generateNetworkKey } from "../../src/agent/network-key.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { useStrangers } from "./strangers.ts";
import { NOTED, weft, weftAs } from "./weft-words.ts";

const TITLE = "a network with an authority: who holds the file alone is nobody";
const RANGE = "10.86.0.0/16";
const USERS = 20;
const TOKEN = /^weft join (weft2\.[A-Za-z0-9_-]+)\n$/;

interface Member {
  readonly name: string;
  readonly issuer: string;
  readonly groups: readonly string[];
  readonly mayIssue: boolean;
  readonly serial: string;
}

describeWhere(TITLE, kernelNeeds(), () => {
  let first: Site;
  let second: Site;
  let used = "";

  useStrangers("authority", ["first", "second"], ({ sites }) => {
    ({ first, second } = sites);
  });

  it("init writes file, authority's key and own certificate; up runs with them", async () => {
    const words = ["init", "lab", "--authority", "--range", RANGE, "--groups", "admin,web"];
    const made = await weft(first, words);
    expect(made).toMatchObject({ status: 0, stderr: "" });
    const key = join(first.folder, "etc", "lab.authority");
    expect(made.stdout).toContain(key);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const up = await weft(first, ["up", "lab"]);
    expect(up).toMatchObject({ status: 0, stderr: "" });
    expect(up.stdout).not.toContain("weft1.");
    const { stdout } = await weft(first, ["status"]);
    expect(stdout).toMatch(/Security: +authority: this node's certificate ends \d{4}-/);
    expect(stdout).toContain("signed by authority, may issue, groups admin, web");
  });

  it("of 20 machines that use one invite at once exactly one gets in", async () => {
    used = await invite(first, "second", ["--groups", "web"]);
    const started = performance.now();
    const all = await Promise.all(
      Array.from({ length: USERS }, (_, i) => joinOnly(second, `user${i}`, used)),
    );
    const winners = all.filter(({ status }) => status === 0);
    figure(`authority: ${winners.length} of ${USERS} joined in ${secondsSince(started)}`);
    expect(winners).toHaveLength(1);
    for (const { status, stderr } of all.filter((one) => one.status !== 0)) {
      expect(stderr).toBe(
        "weft: the invite for second was used already, by another machine: ask for another one (weft invite)\n",
      );
      expect(status).toBe(1);
    }
    const winner = all.findIndex(({ status }) => status === 0);
    const again = await joinOnly(second, `user${winner}`, used);
    expect(again.stderr).toMatch(
      /has a certificate of lab already: start it with `weft up lab`\n$/,
    );
    const loser = join(second.folder, `user${winner === 0 ? 1 : 0}`, "etc", "lab.yaml");
    expect(existsSync(loser)).toBe(false);
  });

  it("a fresh invite makes the second a member, by a pipe, and a ping goes across", async () => {
    const started = performance.now();
    const token = await invite(first, "beta", ["--groups", "web"]);
    const joined = await weft(second, ["join"], `${token}\n`);
    expect(joined).toMatchObject({ status: 0, stderr: expect.stringMatching(NOTED) });
    const target = (await weft(first, ["ip"])).stdout.trim();
    const ping = ["ping", "-n", "-c", "1", "-W", "1", target];
    await eventually("a ping", async () => (await second.finish(ping)).status === 0, 30_000, 50);
    figure(`authority: invited, joined and answered in ${secondsSince(started)}`);
    expect(await membersAt(second)).toMatchObject([
      { name: "beta", issuer: "first", groups: ["web"], mayIssue: false },
      { name: "first", issuer: "authority", groups: ["admin", "web"], mayIssue: true },
    ]);
  });

  it("a member that may not issue says where to ask; no group is given that one has not", async () => {
    const refused = await weft(second, ["invite", "gamma", "lab"]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(/this member may not issue: ask on one that may/);
    const beyond = await weft(first, ["invite", "gamma", "lab", "--groups", "root"]);
    expect(beyond.stderr).toMatch(/this member's certificate has no group root/);
  });

  it("a token that ended, of another issuer or of another network: one line each", async () => {
    const token = decodeToken(await invite(first, "gamma"));
    const { grant } = token;
    if (grant?.kind !== "invite") throw new Error("no invite in the token");
    const words = { ended: { ends: 1_700_000_000 }, unknown: { number: "0".repeat(16) } };
    const ended = encodeToken({ ...token, grant: { ...grant, ...words.ended } });
    const unknown = encodeToken({ ...token, grant: { ...grant, ...words.unknown } });
    const foreign = encodeToken({ ...token, secret: generateNetworkKey() });
    const all = await Promise.all([
      joinOnly(second, "late1", ended),
      joinOnly(second, "late2", unknown),
      joinOnly(second, "late3", foreign),
    ]);
    expect(all.map(({ status, stderr }) => `${status} ${stderr}`)).toEqual([
      expect.stringMatching(
        /^1 weft: the invite ended on 2023-11-14 22:13 UTC \(the clock here says .*\): ask for another one \(weft invite\)\n$/,
      ),
      "1 weft: the member that the token names made no such invite, or forgot it: ask for another one (weft invite)\n",
      expect.stringMatching(/^6 weft: nobody of lab answered \(.*\): see that the member .*\n$/),
    ]);
    for (const name of ["late1", "late2", "late3"]) {
      expect(existsSync(join(second.folder, name, "etc", "lab.yaml"))).toBe(false);
    }
  });

  it("a token that is cut, and a file without a certificate: one line each", async () => {
    const cut = await joinOnly(second, "cut", used.slice(0, -9));
    expect(cut).toMatchObject({ status: 5, stdout: "" });
    expect(cut.stderr).toMatch(/^weft: the token is cut short: .*\n$/);
    const file = await weftAs(second, "no-grant", ["up", "lab", "--config", clusterFile(first)]);
    expect(file.stderr).toMatch(/^weft: this machine has no certificate of lab: .*\n$/);
    expect(file.status).toBe(5);
  });

  it("restarted, both are members as before, and the used invite stays used", async () => {
    const before = await membersAt(second);
    for (const site of [first, second]) await weft(site, ["down"]);
    for (const site of [first, second]) {
      expect(await weft(site, ["up", "lab"])).toMatchObject({ status: 0, stderr: "" });
    }
    expect((await weft(second, ["wait", "--nodes", "2"])).status).toBe(0);
    expect(await membersAt(second)).toEqual(before);
    const late = await joinOnly(second, "late", used);
    expect(late.stderr).toContain("was used already");
  });

  it("another key for the second is signed by its issuer and counts from the next start", async () => {
    const before = (await weft(second, ["keygen", "lab"])).stdout;
    expect(await weft(second, ["keygen", "lab", "--rotate"])).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect((await weft(second, ["keygen", "lab"])).stdout).not.toBe(before);
    await weft(second, ["down"]);
    expect(await weft(second, ["up", "lab"])).toMatchObject({ status: 0, stderr: "" });
    expect((await weft(second, ["wait", "--nodes", "2"])).status).toBe(0);
    expect((await membersAt(second)).map(({ name }) => name)).toEqual(["beta", "first"]);
  });

  it("weft sign makes a member from its public key alone; for another key it is refused", async () => {
    const key = (await weftAs(second, "signed", ["keygen", "lab"])).stdout.trim();
    const words = ["sign", key, "lab", "--name", "signed", "--days", "10", "--groups", "ops"];
    const token = TOKEN.exec((await weft(first, words)).stdout)?.[1] ?? "";
    const foreign = await joinOnly(second, "other", token);
    expect(foreign.status).toBe(5);
    expect(foreign.stderr).toMatch(/^weft: the token is for another machine's key: .*\n$/);
    const joined = await joinOnly(second, "signed", token);
    expect(joined).toMatchObject({ status: 0, stderr: expect.stringMatching(NOTED) });
    expect(joined.stderr).toContain(key);
  });

  it("a key file that others can read is refused", async () => {
    const key = join(first.folder, "etc", "lab.authority");
    chmodSync(key, 0o644);
    const refused = await weft(first, ["sign", `${"A".repeat(43)}=`, "lab", "--name", "x"]);
    chmodSync(key, 0o600);
    expect(refused.stderr).toMatch(
      /is the authority's private key and has mode 0644: run chmod 600/,
    );
    expect(refused.status).toBe(5);
  });

  it("the invite's secret is in no file of the issuer, nor is any key in its log", () => {
    const state = join(first.folder, "state", "lab");
    expect(readFileSync(join(state, "invites"), "utf8")).not.toContain(used);
    const secret = /secret: (\S+)/.exec(readFileSync(clusterFile(first), "utf8"))?.[1] ?? "-";
    expect(readFileSync(join(state, "agent.log"), "utf8")).not.toContain(secret);
  });
});

async function invite(site: Site, name: string, more: readonly string[] = []): Promise<string> {
  const { stdout, stderr } = await weft(site, ["invite", name, ...more]);
  expect(stderr).toMatch(/^\S+ gets serial number [0-9a-f]{16}: note it, weft revoke takes it, /);
  return TOKEN.exec(stdout)?.[1] ?? `no token in ${stdout}`;
}

/** Redeems without a start, from standard input: a machine of its own in the second's namespace. */
function joinOnly(site: Site, name: string, token: string): Promise<Finished> {
  return weftAs(site, name, ["join", "-", "--no-start"], `${token}\n`);
}

async function membersAt(site: Site): Promise<readonly Member[]> {
  const { stdout } = await weft(site, ["members", "-o", "json"]);
  return (JSON.parse(stdout) as { members: Member[] }).members;
}

function clusterFile(site: Site): string {
  return join(site.folder, "etc", "lab.yaml");
}
