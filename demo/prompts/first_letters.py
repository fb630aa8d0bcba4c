"""Groups the words of a text by their first letter."""
from collections import defaultdict


def first_letters(text):
    """Return a dictionary that maps each letter to the words which begin with it."""
    groups = defaultdict(list)
    for word in text.split():
        letter = word[0].upper()
        if letter.isalpha() and word not in groups[letter]:
            groups[letter].append(word)
    return groups


if __name__ == "__main__":
    for letter, words in sorted(first_letters("the first same from have its other table").items()):
        print(f"{letter}: {', '.join(words)}")
