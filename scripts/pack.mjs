/**
 * `npm run pack`: what people install, in build/packages.
 *
 *     weft-VERSION.tgz               npm: `npm i -g --ignore-scripts weft-VERSION.tgz`, no compiler, no registry
 *     weft_VERSION_ARCH.deb          Debian, for each architecture with a prebuilt addon
 *
 * The dependencies are inside, in the versions of the lock file. `npm run pack -- --arch x64` leaves
 * out the architectures that it does not name, `--no-deb` the Debian packages.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { debianPackage } from "./debian.mjs";

const ROOT = new URL("..", import.meta.url).pathname;
const OUT = join(ROOT, "build", "packages");
const STAGE = join(ROOT, "build", "package");
const ARCHITECTURES = ["x64", "arm64"];
/** Of the dependencies: what no running agent reads. */
const DEAD_WEIGHT =
  /(\.map|\.flow|\.markdown|\.d\.c?ts|\.d\.mts|\.tsbuildinfo)$|\/(test|tests|docs|benchmarks?|example|examples|\.github|src\/v3)$/;

const { values: options } = parseArgs({
  options: {
    arch: { type: "string", multiple: true, default: ARCHITECTURES },
    deb: { type: "boolean", default: true },
  },
  allowNegative: true,
});
for (const arch of options.arch) {
  if (ARCHITECTURES.includes(arch)) continue;
  console.error(`pack: no architecture ${arch}: one of ${ARCHITECTURES.join(" ")}`);
  process.exit(2);
}

run("node", ["node_modules/typescript/bin/tsc", "-b"]);
for (const arch of options.arch) run("sh", ["scripts/prebuild.sh", arch]);
rmSync(STAGE, { recursive: true, force: true });
mkdirSync(STAGE, { recursive: true });
mkdirSync(OUT, { recursive: true });
stagePackage();
const tarball = packTarball();
console.log(`pack: ${relative(ROOT, tarball)}`);
if (options.deb)
  for (const arch of options.arch)
    console.log(
      `pack: ${relative(ROOT, debianPackage({ root: ROOT, stage: STAGE, out: OUT, arch }))}`,
    );
rmSync(STAGE, { recursive: true, force: true });

/** The package as it will lie in node_modules/weft. */
function stagePackage() {
  const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const name of ["dist/src", "examples", "deploy", "README.md", "LICENSE", "CHANGELOG.md"])
    copy(name);
  rmFiles(join(STAGE, "dist"), ".tsbuildinfo");
  for (const arch of options.arch)
    copy(`build/prebuilds/linux-${arch}/weft.node`, `prebuilds/linux-${arch}/weft.node`);
  run("node", ["dist/scripts/manual.js", join(STAGE, "man")]);
  for (const folder of dependencyFolders()) copy(relative(ROOT, folder), undefined, notDead);
  const { devDependencies, scripts, gypfile, files, ...kept } = own;
  const manifest = {
    ...kept,
    gypfile: false,
    man: ["man/weft.1", "man/weft-cluster.yaml.5"],
    bundleDependencies: true,
    files: ["dist", "prebuilds", "man", "examples", "deploy", "CHANGELOG.md"],
  };
  writeFileSync(join(STAGE, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  chmodSync(join(STAGE, "dist/src/cli/main.js"), 0o755);
}

/** Everything that `npm ci --omit=dev` would install, from what is installed. */
function dependencyFolders() {
  const listed = spawnSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const [, ...folders] = listed.stdout.trim().split("\n");
  if (folders.length > 0 && listed.status === 0) return [...new Set(folders)];
  console.error("pack: node_modules is not what package-lock.json says: run npm ci");
  process.exit(1);
}

function notDead(path) {
  return !DEAD_WEIGHT.test(path);
}

function packTarball() {
  const made = execFileSync(
    "npm",
    ["pack", "--ignore-scripts", "--json", "--pack-destination", OUT],
    {
      cwd: STAGE,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const [{ filename }] = JSON.parse(made);
  return join(OUT, filename);
}

function copy(from, to = from, filter = () => true) {
  const target = join(STAGE, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(ROOT, from), target, { recursive: true, dereference: true, filter });
}

function rmFiles(folder, suffix) {
  const found = execFileSync("find", [folder, "-name", `*${suffix}`], { encoding: "utf8" });
  for (const file of found.split("\n").filter((line) => line !== "")) rmSync(file);
}

function run(program, words) {
  const { status } = spawnSync(program, words, {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) {
    console.error(`pack: ${program} ${words.join(" ")} failed`);
    process.exit(1);
  }
}
