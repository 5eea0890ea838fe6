/** The Debian package of what scripts/pack.mjs staged; its control files stand in packaging/debian. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

/** As Debian names them. */
const DEBIAN_ARCHITECTURES = { x64: "amd64", arm64: "arm64" };
const LIB = "usr/lib/weft";
const COMPLETIONS = {
  bash: "usr/share/bash-completion/completions/weft",
  zsh: "usr/share/zsh/vendor-completions/_weft",
  fish: "usr/share/fish/vendor_completions.d/weft.fish",
};

/** @returns the path of the package */
export function debianPackage({ root, stage, out, arch }) {
  const tree = `${stage}-deb-${arch}`;
  const { version } = JSON.parse(readFileSync(join(stage, "package.json"), "utf8"));
  rmSync(tree, { recursive: true, force: true });
  installProgram(tree, stage, arch);
  installSystemFiles(tree, stage);
  installDocuments(tree, stage, root);
  const debianArch = DEBIAN_ARCHITECTURES[arch];
  installControl(tree, root, { version, arch: debianArch });
  const file = join(out, `weft_${version}_${debianArch}.deb`);
  execFileSync("chmod", ["-R", "u+rwX,go+rX,go-w", tree]);
  execFileSync("dpkg-deb", ["--root-owner-group", "--build", tree, file], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, SOURCE_DATE_EPOCH: sourceDate(root) },
  });
  rmSync(tree, { recursive: true, force: true });
  return file;
}

function installProgram(tree, stage, arch) {
  for (const name of ["dist", "node_modules", "package.json", `prebuilds/linux-${arch}`])
    cpSync(join(stage, name), join(makeParent(tree, `${LIB}/${name}`)), { recursive: true });
  symlinkSync("../lib/weft/dist/src/cli/main.js", makeParent(tree, "usr/bin/weft"));
}

function installSystemFiles(tree, stage) {
  const systemd = join(stage, "deploy/systemd");
  cpSync(join(systemd, "weft@.service"), makeParent(tree, "usr/lib/systemd/system/weft@.service"));
  cpSync(join(systemd, "weft.sysusers"), makeParent(tree, "usr/lib/sysusers.d/weft.conf"));
  mkdirSync(join(tree, "etc/weft"), { recursive: true });
  const cli = join(stage, "dist/src/cli/main.js");
  for (const [shell, path] of Object.entries(COMPLETIONS))
    writeFileSync(makeParent(tree, path), execFileSync("node", [cli, "completion", shell]));
}

function installDocuments(tree, stage, root) {
  for (const page of readdirSync(join(stage, "man"))) {
    const chapter = page.slice(page.lastIndexOf(".") + 1);
    const text = readFileSync(join(stage, "man", page));
    writeFileSync(makeParent(tree, `usr/share/man/man${chapter}/${page}.gz`), gzip(text));
  }
  const folder = "usr/share/doc/weft";
  const changes = readFileSync(join(stage, "CHANGELOG.md"));
  writeFileSync(makeParent(tree, `${folder}/changelog.gz`), gzip(changes));
  cpSync(join(stage, "examples"), makeParent(tree, `${folder}/examples`), { recursive: true });
  const licence = readFileSync(join(root, "packaging/debian/copyright"), "utf8");
  writeFileSync(makeParent(tree, `${folder}/copyright`), licence);
}

function installControl(tree, root, { version, arch }) {
  const from = join(root, "packaging/debian");
  const kilobytes = execFileSync("du", ["-sk", tree], { encoding: "utf8" }).split("\t")[0];
  const control = readFileSync(join(from, "control"), "utf8")
    .replace("@VERSION@", version)
    .replace("@ARCH@", arch)
    .replace("@SIZE@", kilobytes);
  writeFileSync(makeParent(tree, "DEBIAN/control"), control);
  for (const script of ["postinst", "prerm", "postrm"]) {
    cpSync(join(from, script), join(tree, "DEBIAN", script));
    chmodSync(join(tree, "DEBIAN", script), 0o755);
  }
}

/** @returns the path inside the tree */
function makeParent(tree, path) {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  return join(tree, path);
}

/** Without a time of its own, so that the same sources make the same package. */
function gzip(bytes) {
  return gzipSync(bytes, { level: 9 });
}

function sourceDate(root) {
  const words = ["log", "-1", "--format=%ct"];
  try {
    return execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return "0";
  }
}
