#!/usr/bin/env python3
"""Holds Electra's tokenizers against Hugging Face transformers, id by id.

Makes tokenizers of many kinds with the program (trained on text of 14 scripts with each setting, and imported from files with
each normaliser), and encodes awkward lines of text in four ways, which must agree:
  the program itself, as its dataset's shards hold the ids,
  the `tokenizers` package on tokenizer.json (its regular expressions are Oniguruma's, Electra's are fancy-regex),
  AutoTokenizer on the folder,
  AutoTokenizer on the folder of an ELECTRA model with that tokenizer.
Not part of the tests, which need no Python; run it by hand where rules of tokenizers change, with both major releases:

    for release in 4 5; do
        python3 -m venv venv$release && venv$release/bin/pip install "transformers>=$release,<$((release + 1))" safetensors numpy
        venv$release/bin/python tests/transformers/compare_tokenizers.py --electra target/release/electra
    done
"""
import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error")
import numpy
import tokenizers
import transformers
from safetensors.numpy import load_file

TEXTS = {
    "English": "The chef cooked the meal, didn't he? It cost $12.50 (and 3 hours).",
    "German": "Die Ärztin möchte schöne Äpfel. Über der Brücke müßte man drei Bücher suchen.",
    "Greek": "Ο μαθητής διάβασε ένα βιβλίο. ΟΔΥΣΣΕΥΣ Ταξίδεψε στην Αθήνα.",
    "Russian": "Ёлка стоит в чаще, и мой брат её нашёл. Россия́не",
    "Hindi": "लड़का बाज़ार में किताबें खरीदता है। मेरी बहन नदी के किनारे फूलों की टोकरी लेकर आयी। क़",
    "Korean": "학생이 시장에서 오래된 시계를 찾았다. 우리 선생님은 강가에서 책을 들고 왔다.",
    "Japanese": "がくせいはパンとデザートをたべました。ポケットの中に学校の本があります。",
    "Chinese": "中国人民大学在北京。今天天氣很好,我們去公園。",
    "Arabic": "ذَهَبَ الطَّالِبُ إلى المدرسة، وقرأ كتابًا آخر.",
    "Hebrew": "הַיֶּלֶד קָנָה סֵפֶר בַּשּׁוּק.",
    "Thai": "เด็กนักเรียนที่ตลาดค้นหาหนังสือเล่มใหม่และกล่องไม้ใบใหญ่จะๆน้ำท่วมabcกรุงเทพฯ๒๕",
    "Lao": "ປະເທດລາວເປັນປະເທດໜຶ່ງໃນອາຊີຕາເວັນອອກສຽງໃຕ້ນ້ຳ",
    "Khmer": "ប្រទេសកម្ពុជាជាប្រទេសមួយនៅក្នុងអាស៊ីអាគ្នេយ៍ផ្សារកណ្តាលចាប់ផ្ដើមក្រុមហ៊ុន",
    "Burmese": "မြန်မာနိုင်ငံသည်အရှေ့တောင်အာရှတွင်တည်ရှိသောနိုင်ငံဖြစ်သည်အင်္ဂလိပ်မန္တလေးတက္ကသိုလ်",
    "mathematics": "if a ≠ b then a ≤ b ❤️ e\u0301 a\u0323\u0301 =\u0338",
}
BLOCKS = [(0x0E00, 0x0E5B), (0x0E80, 0x0EDF), (0x1000, 0x109F), (0x1780, 0x17DD), (0x0900, 0x097F), (0x0300, 0x0310), (0x3040, 0x30FF),
          (0x1100, 0x11FF), (0xAC00, 0xAD00), (0x0590, 0x0600), (0x0610, 0x0660), (0x0700, 0x0750), (0x4E00, 0x4E40), (0x20, 0x17F), (0x370, 0x480)]


def lines(count, seed):
    """Awkward text: words of all texts, and characters of their blocks in any order; no line is blank."""
    source = random.Random(seed)
    words = [word for text in TEXTS.values() for word in text.split(" ")]
    made = []
    while len(made) < count:
        pieces = []
        for _ in range(source.randint(1, 8)):
            if source.random() < 0.5:
                pieces.append(source.choice(words))
            else:
                first, last = source.choice(BLOCKS)
                pieces.append("".join(chr(source.randint(first, last)) for _ in range(source.randint(1, 7))))
            pieces.append(source.choice(["", " ", " ", ", "]))
        line = "".join(pieces)
        # What ends a line or vanishes altogether makes another number of lines.
        if not any(character in line for character in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029") and line.strip():
            made.append("a " + line)
    return made


class Program:
    def __init__(self, path, folder):
        self.path, self.folder = os.path.abspath(path), folder

    def run(self, *arguments):
        call = [self.path, *arguments]
        result = subprocess.run(call, capture_output=True, text=True, encoding="utf-8", cwd=self.folder)
        if result.returncode != 0:
            sys.exit(f"{' '.join(call)} ended with {result.returncode}:\n{result.stderr}")

    def ids(self, tokenizer, text_file):
        """The ids of each line, from a dataset of one document."""
        data = f"{tokenizer}-data"
        self.run("data", "build", "--input", text_file, "--tokenizer", tokenizer, "--out", data, "--allow-unknown",
                 "--one-document-per-file")
        found = []
        folder = os.path.join(self.folder, data)
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        for split in ("train", "validation"):
            for shard in manifest[split]["shards"]:
                tensors = load_file(os.path.join(folder, shard["file"]))
                tokens = tensors["tokens"].astype(numpy.int64)
                ends = tensors["line_offsets"].astype(numpy.int64)
                found += [tokens[start:end].tolist() for start, end in zip(ends, ends[1:])]
        return found


def write_json(folder, base, normalizer, pre_tokenizer=None):
    os.makedirs(folder)
    with open(base, encoding="utf-8") as file:
        value = json.load(file)
    value["normalizer"] = normalizer
    value["pre_tokenizer"] = pre_tokenizer or {"type": "BertPreTokenizer"}
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)


def make(program):
    """Names of tokenizers of all kinds, made in the program's folder."""
    here = lambda name: os.path.join(program.folder, name)
    text = "\n".join(TEXTS.values())
    with open(here("text.txt"), "w", encoding="utf-8") as file:
        file.write((text + "\n") * 6)
    made = []
    for name, flags in {
        "default": [], "true": ["--strip-accents", "true"], "false": ["--strip-accents", "false"], "cased": ["--cased"],
        "cased-true": ["--cased", "--strip-accents", "true"],
    }.items():
        made.append(f"trained-{name}")
        program.run("tokenizer", "train", "--input", "text.txt", "--vocab-size", "3000", "--out", made[-1], *flags)
    for language in TEXTS:
        with open(here(f"{language}.txt"), "w", encoding="utf-8") as file:
            file.write((TEXTS["English"] + "\n" + TEXTS[language] + "\n") * 6)
        made.append(f"trained-{language}")
        program.run("tokenizer", "train", "--input", f"{language}.txt", "--vocab-size", "600", "--out", made[-1])
    for lowercase, strip, chinese, around in itertools.product(
        (False, True), (None, False, True), (False, True), (None, "NFC", "NFKC", "NFKD", "StripAccents")
    ):
        bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": chinese, "strip_accents": strip, "lowercase": lowercase}
        normalizer = bert if around is None else {"type": "Sequence", "normalizers": [{"type": around}, bert]}
        name = f"json-{lowercase}-{strip}-{chinese}-{around}"
        write_json(here(f"{name}-source"), here("trained-cased/tokenizer.json"), normalizer)
        program.run("tokenizer", "import", f"{name}-source", "--out", name)
        made.append(name)
    for lowercase, strip, chinese in itertools.product((False, True), (None, False, True), (False, True)):
        name = f"vocab-{lowercase}-{strip}-{chinese}"
        os.makedirs(here(f"{name}-source"))
        with open(here("trained-cased/vocab.txt"), encoding="utf-8") as source, open(
            here(f"{name}-source/vocab.txt"), "w", encoding="utf-8"
        ) as file:
            file.write(source.read())
        with open(here(f"{name}-source/tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"do_lower_case": lowercase, "strip_accents": strip, "tokenize_chinese_chars": chinese,
                       "tokenizer_class": "ElectraTokenizer", "model_max_length": 64}, file)
        program.run("tokenizer", "import", f"{name}-source", "--out", name)
        made.append(name)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electra", required=True, help="the electra program")
    parser.add_argument("--lines", type=int, default=600, help="lines of text for each tokenizer")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        program = Program(arguments.electra, folder)
        names = make(program)
        classes = {}
        for number, name in enumerate(names):
            text = lines(arguments.lines, number)
            with open(os.path.join(folder, "lines.txt"), "w", encoding="utf-8") as file:
                file.write("\n".join(text) + "\n")
            path = os.path.join(folder, name)
            own = program.ids(name, "lines.txt")
            plain = tokenizers.Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
            readers = {
                "tokenizers": lambda line: plain.encode(line, add_special_tokens=False).ids,
            }
            auto = transformers.AutoTokenizer.from_pretrained(path)
            readers["AutoTokenizer"] = lambda line: auto(line, add_special_tokens=False)["input_ids"]
            with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
                json.dump({"model_type": "electra"}, file)
            beside = transformers.AutoTokenizer.from_pretrained(path)
            readers["AutoTokenizer beside a model"] = lambda line: beside(line, add_special_tokens=False)["input_ids"]
            classes[type(auto).__name__] = classes.get(type(auto).__name__, 0) + 1
            if len(own) != len(text):
                sys.exit(f"{name}: {len(own)} lines in the dataset, {len(text)} in the text")
            expected = sorted(own)
            for reader, encode in readers.items():
                # Lines of the dataset are those of the text, but for what is held out, which lies apart.
                found = sorted(encode(line) for line in text)
                if found != expected:
                    differing = next((line for line in text if encode(line) not in own), "?")
                    print(f"FAILED {name}: {reader} reads {differing!r} as {encode(differing)}")
                    failures += 1
            two = auto("a", "a")
            special = [auto.cls_token_id, auto.sep_token_id]
            if two["input_ids"][0] != special[0] or two["input_ids"].count(special[1]) != 2 or two["token_type_ids"][-1] != 1:
                print(f"FAILED {name}: two texts become {two}")
                failures += 1
            if auto.pad_token_id != plain.token_to_id("[PAD]"):
                print(f"FAILED {name}: pad_token_id is {auto.pad_token_id}")
                failures += 1
        print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}: {len(names)} tokenizers, "
              f"{arguments.lines} lines each, loaded as {classes}; {failures} differences")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
