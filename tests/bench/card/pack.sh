#!/usr/bin/env bash
# Packs what a bare Linux machine with a card needs to measure Electra (README.md). usage: pack.sh OUT
# OUT gets the program, the test executables (xz), golden values, a small dataset, the Vulkan loader with what a driver needs
# beside it (Debian's), and the scripts.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
[ $# = 1 ] || { sed -n 2,3p "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$root"

cargo build --release --locked
electra="${CARGO_TARGET_DIR:-target}/release/electra"
executables=$(cargo test --release --locked --no-run --message-format=json -p electra -p electra-kernels | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line) if line.startswith("{") else {}
    if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message.get("executable"):
        if message["target"]["name"] in ("tests", "electra_kernels"):
            print(message["target"]["name"], message["executable"])')

pack() {
    cp "$1" "$out/$2"
    strip "$out/$2"
    xz --threads=0 -2 --force "$out/$2"
}
pack "$electra" electra
while read -r name path; do pack "$path" "$name"; done <<<"$executables"

rm -rf "$out/fixtures" "$out/data" "$out/tokenizer"
cp -r "${ELECTRA_FIXTURES:-tests/fixtures}" "$out/fixtures"
python3 "$here/corpus.py" >"$out/corpus.txt"
"$electra" --quiet tokenizer train --input "$out/corpus.txt" --vocab-size 1024 --out "$out/tokenizer"
"$electra" --quiet data build --input "$out/corpus.txt" --tokenizer "$out/tokenizer" --out "$out/data"
rm -r "$out/corpus.txt" "$out/tokenizer"

cp "$here/run.sh" "$here/torch_step.py" "$here/summary.py" "$out/"
# What a bare server lacks: the loader, and the libraries that NVIDIA's driver is linked with, though nothing is shown.
libraries="libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2 libx11-6 libxext6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0"
mkdir -p "$out/libraries"
if ! (cd "$out/libraries" && apt-get download $libraries >/dev/null 2>&1); then
    echo "note: no Vulkan loader packed (apt-get download $libraries failed): the machine must have one" >&2
fi
du -sh "$out"
