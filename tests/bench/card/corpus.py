#!/usr/bin/env python3
"""Prints 1.2 MB of text with something to learn in it: sentences of a small grammar over 600 made-up words, whose
frequencies fall as those of words do. The same each time."""
import random

ONSETS, VOWELS, ENDS = "b d f g k l m n p r s t v z st tr".split(), "a e i o u ai ou".split(), " n r s t l nd".split(" ")


def main():
    draw = random.Random(7)
    words = set()
    while len(words) < 600:
        syllable = lambda: draw.choice(ONSETS) + draw.choice(VOWELS) + draw.choice(ENDS)
        words.add("".join(syllable() for _ in range(draw.choice((1, 2, 2, 3)))))
    words = sorted(words)
    draw.shuffle(words)
    kinds = {"noun": words[:300], "verb": words[300:450], "adjective": words[450:]}

    def one(kind, topic):
        # A document keeps to some of the words, so that neighbours tell of one another.
        pool = kinds[kind]
        rank = min(int(draw.paretovariate(0.9)) - 1, len(pool) - 1)
        return pool[(rank * 7 + topic * 13) % len(pool)]

    for document in range(1200):
        topic = document % 40
        for _ in range(draw.randint(10, 30)):
            subject = f"the {one('adjective', topic)} {one('noun', topic)}"
            sentence = f"{subject} {one('verb', topic)}s the {one('noun', topic)}"
            if draw.random() < 0.4:
                sentence += f" near a {one('adjective', topic)} {one('noun', topic)}"
            print(sentence.capitalize() + ".")
        print()


main()
