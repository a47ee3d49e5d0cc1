"""C2PA engines that run in Node: c2pa-ts (independent of all others) and c2pa-wasm (that of web verifiers).

They are asked when `node` is on the path and the user installed them into the folder `node` of their own
configuration (`npm install @trustnxt/c2pa-ts @contentauth/c2pa-wasm` there); a `node_modules` that lies beside the
files under test is never looked at, since it would be run. Checked with c2pa-ts 0.9.4 and c2pa-wasm 0.13.3.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from audit.provenance.engines import Content, Opinion
from audit.provenance.text import clean_text
from audit.provenance.trust import TrustLists
from generator.errors import InputError
from generator.marking.formats import media_type
from generator.marking.identity import assay_home

FOLDER = "node"
MODULES = ("@trustnxt/c2pa-ts", "@contentauth/c2pa-wasm")
_SECONDS = 60  # for all of them; a wedged engine must not hold a run up
_MAX_FILE = 64 << 20  # bytes; both engines hold a file in memory, several times

_SCRIPT = """
import fs from 'node:fs';
const { path, mime, settings, modules } = JSON.parse(process.argv[2]);
const bytes = new Uint8Array(fs.readFileSync(path));
const version = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;

async function typescript(name) {
  const { JPEG, PNG, BMFF } = await import(`${name}/asset`);
  const { SuperBox } = await import(`${name}/jumbf`);
  const { ManifestStore } = await import(`${name}/manifest`);
  const kind = [JPEG, PNG, BMFF].find((candidate) => candidate.canRead(bytes));
  if (!kind) return null;
  let asset, store;
  try {
    asset = new kind(bytes);
    store = asset.getManifestJUMBF();
  } catch (error) {
    return { content: 'unreadable', trusted: null, said: String(error?.message ?? error) };
  }
  if (!store) return { content: 'absent', trusted: null, said: 'no manifest store' };
  const result = await ManifestStore.read(SuperBox.fromBuffer(store)).validate(asset);
  const codes = result.statusEntries.filter((entry) => !entry.success).map((entry) => entry.code);
  return { content: result.isValid ? 'intact' : 'broken', trusted: null, said: codes.join(', ') || 'valid' };
}

async function wasm(name) {
  if (!mime) return null;
  const { default: start, WasmReader } = await import(name);
  await start({ module_or_path: fs.readFileSync(`node_modules/${name}/pkg/c2pa_bg.wasm`) });
  let reader;
  try {
    reader = await WasmReader.fromBytes(mime, bytes, settings);
  } catch (error) {
    const said = String(error?.message ?? error);
    const known = { JumbfNotFound: 'absent', InvalidAsset: 'unreadable' };
    const kind = Object.keys(known).find((name) => said.includes(name));
    return { content: known[kind] ?? 'broken', trusted: null, said };
  }
  const state = JSON.parse(reader.json()).validation_state;
  if (state === 'Invalid') return { content: 'broken', trusted: null, said: state };
  return { content: 'intact', trusted: state === 'Trusted', said: state };
}

const found = [];
for (const name of modules) {
  const ask = name.endsWith('c2pa-ts') ? typescript : wasm;
  let opinion;
  try {
    opinion = await ask(name);
  } catch (error) {
    opinion = { content: 'broken', trusted: null, said: String(error?.message ?? error) };
  }
  if (opinion) found.push({ engine: `${name} ${version(name)}`, ...opinion });
}
console.log(JSON.stringify(found));
"""


def ask_node(path: Path, trust: TrustLists) -> list[Opinion]:
    """The opinions of the engines that are installed; one that cannot be run says so in its own words.

    Args:
        path: of the file.
        trust: anchors by purpose, given to the engine that knows any.
    """
    node, folder = shutil.which("node"), assay_home() / FOLDER
    modules = [name for name in MODULES if (folder / "node_modules" / name / "package.json").is_file()]
    if node is None or not modules:
        return []
    try:
        if path.stat().st_size > _MAX_FILE:
            return []
        return _run(node, folder, path, trust, modules)
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
        said = clean_text(error, limit=300)
        return [Opinion(f"node with {', '.join(modules)}", Content.UNREADABLE, None, said)]


def _run(node: str, folder: Path, path: Path, trust: TrustLists, modules: list[str]) -> list[Opinion]:
    order = {
        "path": str(path.resolve()),
        "mime": _mime(path),
        "settings": json.dumps(_settings(trust)),
        "modules": modules,
    }
    done = subprocess.run(  # noqa: S603 - no shell, and the file's name stands inside JSON
        [node, "--input-type=module", "-", json.dumps(order)],
        input=_SCRIPT,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return [
        Opinion(str(found["engine"]), Content(found["content"]), found["trusted"], str(found["said"]))
        for found in json.loads(done.stdout)
    ]


def _settings(trust: TrustLists) -> dict[str, object]:
    anchors = "".join([*trust.signers, *trust.time_stamps, *trust.development])
    return {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False},
        "trust": {"user_anchors": anchors, "trust_config": "\n".join(trust.purposes) + "\n"},
    }


def _mime(path: Path) -> str:
    try:
        return media_type(path)
    except InputError:
        return ""
