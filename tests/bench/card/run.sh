#!/usr/bin/env bash
# Measures Electra on this machine's card, from what pack.sh packed (README.md). usage: run.sh RESULTS
# QUICK=1: small sizes and few steps, for a software adapter. ONLY="verify step_f32": these parts alone.
set -u
[ $# = 1 ] || { sed -n 2,3p "${BASH_SOURCE[0]}" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
results=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for packed in "$here"/*.xz; do
    name=$(basename "$packed" .xz)
    xz -dc "$packed" >"$work/$name" 2>/dev/null ||
        python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' "$packed" >"$work/$name"
    chmod +x "$work/$name"
done
# Beside the machine's own libraries, not over them: what it lacks is found there.
for package in "$here"/libraries/*.deb; do [ -f "$package" ] && dpkg -x "$package" "$work/libraries"; done
folders=$(find "$work/libraries" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/local/nvidia/lib64:$folders
# NVIDIA's driver may lie where the loader does not look.
if [ -z "$(ls /usr/share/vulkan/icd.d/nvidia* /etc/vulkan/icd.d/nvidia* 2>/dev/null)" ]; then
    driver=$(find /usr /opt -name 'nvidia_icd*.json' 2>/dev/null | head -n 1)
    [ -n "$driver" ] && export VK_ADD_DRIVER_FILES=$driver
fi
export XDG_CACHE_HOME=$work/cache XDG_RUNTIME_DIR=$work ELECTRA_FIXTURES=$here/fixtures
electra=$work/electra
cd "$work" || exit 1

quick=${QUICK:-0}
preset=small batch=128 seq=128 steps=200 slower=1
[ "$quick" = 1 ] && preset=nano batch=8 seq=64 steps=10 slower=6

: >"$results/parts.tsv"
part() { # NAME SECONDS COMMAND...
    local name=$1 limit=$(($2 * slower)) began=$SECONDS
    shift 2
    case " ${ONLY:-$name} " in *" $name "*) ;; *) return ;; esac
    timeout -k 5 "$limit" "$@" >"$results/$name.out" 2>"$results/$name.err"
    local code=$?
    printf '%s\t%s\t%s\n' "$name" "$code" "$((SECONDS - began))" >>"$results/parts.tsv"
    echo "== $name: exit $code, $((SECONDS - began)) s"
    [ "$code" = 0 ] || tail -n 6 "$results/$name.err" | cut -c1-400
}
step() { # NAME SECONDS PRESET BATCH SEQ FURTHER...
    local name=$1 limit=$2 of=$3 examples=$4 tokens=$5
    shift 5
    part "$name" "$limit" "$electra" bench step --preset "$of" --batch "$examples" --seq "$tokens" --device gpu --json "$@"
}
# At a rate at which rounding stays rounding: where a run's losses leap, two devices leap apart.
train() { # NAME SECONDS DEVICE
    part "$1" "$2" "$electra" --quiet pretrain --preset tiny --data "$here/data" --out "$work/$1" --device "$3" \
        --set train.steps="$steps" --set train.warmup_steps=$((steps / 10)) --set train.log_every=$((steps / 10)) \
        --set train.learning_rate=2e-4 --set train.validate_every=0 --set train.batch_size=$((quick == 1 ? 4 : 32)) --set train.micro_batch=$((quick == 1 ? 4 : 32))
    cp "$work/$1/metrics.jsonl" "$results/$1.jsonl" 2>/dev/null
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$results/card.txt" 2>/dev/null
part devices 20 "$electra" devices --json
if ! grep -q '"backend": "vulkan"' "$results/devices.out"; then
    echo "no adapter was found; what the Vulkan loader says (loader.err):" >&2
    VK_LOADER_DEBUG=error,driver "$electra" devices >/dev/null 2>"$results/loader.err"
    tail -n 20 "$results/loader.err" | cut -c1-300 >&2
fi
part verify 90 "$electra" devices --verify --json
part kernel_tests 90 "$work/electra_kernels" gpu:: --test-threads 4
part golden_tests 90 "$work/tests" golden --test-threads 2
step step_f32 60 $preset $batch $seq --no-plain --profile
step step_f16 60 $preset $batch $seq --no-plain --precision f16 --profile
part torch 180 python3 "$here/torch_step.py" $batch $seq
train train_gpu 60 gpu
train train_cpu 90 cpu
part kernels 60 "$electra" bench kernels --preset $preset --batch $batch --seq $seq --device gpu --json
step step_recompute 40 $preset $batch $seq --no-plain --recompute
step step_plain 60 $preset $((batch / 4)) $seq
[ "$quick" = 1 ] || step step_base_f16 60 base 32 512 --no-plain --precision f16
python3 "$here/summary.py" "$results"
