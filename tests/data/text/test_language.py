"""Which stemmer a corpus gets."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import Stemmer

from reknit.data.text.language import STEMMERS, language_of

SENTENCES = {
    "danish": "Kommunen har besluttet at bygge en ny bro over åen næste år, fordi den gamle er blevet alt for smal.",
    "dutch": "De gemeente heeft besloten dat er volgend jaar nieuwe fietspaden worden aangelegd langs de rivier.",
    "english": "The committee decided that the new bridge will be built over the river in the next year.",
    "finnish": "Kaupunki päätti rakentaa uuden sillan joen yli ensi vuonna, koska vanha silta on liian kapea.",
    "french": "La commune a décidé de construire un nouveau pont sur la rivière pendant l'année prochaine.",
    "german": "Die Gemeinde hat beschlossen, im nächsten Jahr eine neue Brücke über den Fluss zu bauen.",
    "greek": "Ο δήμος αποφάσισε να κατασκευάσει μια νέα γέφυρα πάνω από το ποτάμι το επόμενο έτος.",
    "hindi": "नगर निगम ने अगले साल नदी पर एक नया पुल बनाने का फैसला किया है क्योंकि पुराना पुल बहुत छोटा है।",
    "hungarian": "A város úgy döntött, hogy jövőre új hidat épít a folyó fölött, mert a régi túl keskeny.",
    "polish": "Miasto postanowiło zbudować w przyszłym roku nowy most nad rzeką, ponieważ stary jest zbyt wąski.",
    "romanian": "Orașul a hotărât să construiască anul viitor un pod nou peste râu, deoarece cel vechi este îngust.",
    "russian": "Город решил построить в следующем году новый мост через реку, потому что старый слишком узкий.",
    "spanish": "El ayuntamiento decidió construir un nuevo puente sobre el río durante el próximo año.",
    "turkish": "Belediye gelecek yıl nehrin üzerine yeni bir köprü yapmaya karar verdi çünkü eskisi çok dar.",
}
REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("language", SENTENCES)
def test_texts_of_one_language_get_its_stemmer(language):
    assert language_of([SENTENCES[language]] * 3) == language


def test_every_stemmer_exists():
    assert set(STEMMERS.values()) <= set(Stemmer.algorithms())


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["der Fluss"],
        ["12 34 56 ++ -- 78" * 50],
        ["नदी"],
        ["城市决定明年在河上建造一座新桥,因为旧桥太窄。" * 30],
        ["Thành phố quyết định xây dựng một cây cầu mới bắc qua sông vào năm tới."] * 9,
        [SENTENCES["german"], SENTENCES["french"]] * 5,
        [SENTENCES["german"]] * 5 + [SENTENCES["english"]] * 6,
        ["def write(self, value):\n    # Write the value to the file.\n    self.file.write(value)"] * 5,
    ],
)
def test_too_little_a_mixture_and_languages_without_a_stemmer_get_the_english_one(texts):
    assert language_of(texts) == "english"


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        ([SENTENCES["german"]] * 6 + [SENTENCES["english"]] * 5, "german"),
        ([SENTENCES["german"] * 2 + " See the file for the terms of this licence."] * 5, "german"),
        (["Co to je? To je otázka, kterou si klade každý zákazník banky."] * 3, "czech"),
        (["To jest nowy most, a to jest stary. Co to znaczy dla miasta i jego mieszkańców?"] * 3, "polish"),
        ([SENTENCES["german"], SENTENCES["german"], SENTENCES["english"]] * 200, "german"),
    ],
)
def test_some_english_does_not_make_a_corpus_english(texts, language):
    assert language_of(texts) == language


def test_only_a_sample_is_looked_at():
    texts = [SENTENCES["german"] * 1000] * 100_000
    began = time.process_time()
    assert language_of(texts) == "german"
    assert time.process_time() - began < 20, "not a benchmark: all of it would take an hour"


@pytest.mark.skipif(not REAL.is_dir(), reason="real corpora are not here")
@pytest.mark.parametrize(
    ("name", "language"),
    [("deu", "german"), ("fra", "french"), ("tam", "tamil"), ("swh", "english"), ("eng", "english")],
)
def test_real_sentences(name, language):
    file = next((REAL / "parallel" / "tatoeba").glob(f"*.{name}"))
    assert language_of(file.read_text(encoding="utf-8").splitlines()) == language
