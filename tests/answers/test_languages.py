# ruff: noqa: RUF001
"""Answers in many languages: each sentence written by hand, each with the value that a reader takes from it."""

import pytest

from serl_trl import extract_answer, is_equivalent, majority_vote
from serl_trl.answers.languages import LANGUAGES


LABELS = {
    "en": "Answer", "ar": "الإجابة", "bg": "Отговор", "bn": "উত্তর", "cs": "Odpověď", "da": "Svar", "de": "Antwort", "el": "Απάντηση",
    "es": "Respuesta", "fa": "پاسخ", "fi": "Vastaus", "fr": "Réponse", "he": "תשובה", "hi": "उत्तर", "hu": "Válasz", "id": "Jawaban",
    "it": "Risposta", "ja": "答え", "ko": "정답", "ms": "Jawapan", "nl": "Antwoord", "no": "Svar", "pl": "Odpowiedź", "pt": "Resposta",
    "ro": "Răspuns", "ru": "Ответ", "sv": "Svar", "sw": "Jibu", "ta": "விடை", "te": "సమాధానం", "th": "คำตอบ", "tl": "Sagot",
    "tr": "Cevap", "uk": "Відповідь", "ur": "جواب", "vi": "Đáp án", "yo": "Ìdáhùn", "zh": "答案",
}  # fmt: skip
FORMATS = [
    "@: #", "@:#", "**@:** #", "**@**: #", "**@: #**", "@：#", "**@：** **#**", "### @: #", "- @: #.", "@:\n\n**#**", "@ : #",
]  # fmt: skip
IS = {
    "de": "Die richtige Antwort ist #.", "de2": "Daher ist die Antwort #.", "fr": "La bonne réponse est #.", "es": "La respuesta correcta es #.",
    "pt": "A resposta correta é #.", "it": "La risposta corretta è #.", "nl": "Het juiste antwoord is #.", "sv": "Rätt svar är #.", "fi": "Oikea vastaus on #.",
    "pl": "Poprawna odpowiedź to #.", "cs": "Správná odpověď je #.", "hu": "A helyes válasz: #.", "ro": "Răspunsul corect este #.", "tr": "Doğru cevap #.",
    "vi": "Câu trả lời đúng là #.", "id": "Jawaban yang benar adalah #.", "sw": "Jibu sahihi ni #.", "ru": "Правильный ответ — #.", "uk": "Правильна відповідь: #.",
    "el": "Η σωστή απάντηση είναι #.", "zh": "正确答案是 #。", "zh2": "因此，答案为#。", "ja": "したがって、答えは#です。", "ko": "따라서 정답은 #입니다.", "ar": "الإجابة الصحيحة هي #.",
    "fa": "پاسخ صحیح # است.", "ur": "صحیح جواب # ہے۔", "he": "התשובה הנכונה היא #.", "hi": "सही उत्तर # है।", "bn": "সঠিক উত্তর হলো #।", "te": "సరైన సమాధానం #.",
    "ta": "விடை # ஆகும்.", "th": "คำตอบที่ถูกต้องคือ #",
}  # fmt: skip


def test_the_table_has_a_row_per_language():
    codes = [row.code for row in LANGUAGES]
    assert len(codes) == len(set(codes)) >= 50
    assert set(LABELS) - {"en"} <= set(codes)


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.code)
def test_rows_are_plain_words(row):
    words = [word for field in row[1:9] for word in field.split("|") if field]
    assert row.answers
    assert all(word == word.strip("\u200c\u200d ") != "" for word in words)
    assert not {"answer", "solution", "result"} & set(words)  # English would be read as that language


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("code", LABELS)
def test_labels(code, form):
    for answer_type, value in (("math", "14"), ("number", "14"), ("choice", "B")):
        text = "3 + 4 = 7, 7 * 2 = 14.\n\n" + form.replace("@", LABELS[code]).replace("#", value)
        assert extract_answer(text, answer_type) == value, (answer_type, text)


@pytest.mark.parametrize("code", IS)
def test_the_answer_is(code):
    for answer_type, value in (("math", "14"), ("number", "-3"), ("choice", "B"), ("choice", "A")):
        for written in (value, f"**{value}**"):
            text = "12 - 5 = 7.\n" + IS[code].replace("#", written)
            assert extract_answer(text, answer_type) == value, (answer_type, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 + 9 = 12。因此，他一共有 12 个苹果。", "12"),
        ("したがって、彼は12個のりんごを持っています。", "12"),
        ("따라서 그는 사과 12개를 가지고 있습니다.", "12"),
        ("Следовательно, у него 12 яблок.", "12"),
        ("Por lo tanto, tiene 12 manzanas.", "12"),
        ("Donc, elle a 12,5 litres.", "12.5"),
        ("Quindi ha 12 mele.", "12"),
        ("Ответ: 3,5 км", "3.5"),
        ("Die Antwort ist 1.234,50 Euro.", "1234.5"),
        ("La respuesta es menos 3.", "-3"),
        ("答えはマイナス3です。", "-3"),
        ("答案是负3。", "-3"),
        ("答案是 $\\frac{1}{2}$ 米。", "1/2"),
        ("答案：[]", None),
        ("La respuesta no está clara.", None),
    ],
)
def test_values_and_conclusions(text, value):
    for answer_type in ("math", "number"):
        got = extract_answer(text, answer_type)
        assert got is None if value is None else is_equivalent(got, value, answer_type), got


@pytest.mark.parametrize(
    "unit", ["元", "个苹果", "円", "개", "人", "平方厘米", "рублей", "км/ч", "см²", "मीटर", "บาท", "đồng", "㎝", "℃", "متر", "ευρώ", "años"]
)  # fmt: skip
def test_units_in_other_scripts_carry_nothing(unit):
    completions = [rf"\boxed{{12{unit}}}", rf"\boxed{{12 {unit}}}", rf"\boxed{{12\,\text{{{unit}}}}}", r"\boxed{12}"]
    for answer_type in ("math", "number"):
        assert majority_vote(completions, answer_type).num_classes == 1


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Antwort B ist richtig.", "B"),
        ("Die richtige Option ist C.", "C"),
        ("L'option B est correcte.", "B"),
        ("La réponse est la lettre C.", "C"),
        ("La opción correcta es la D.", "D"),
        ("Opción (C) 12 m/s", "C"),
        ("A alternativa correta é a letra C.", "C"),
        ("Вариант B", "B"),
        ("选项 (B) $3.3\\mathrm{MeV}$。", "B"),
        ("选项 B 正确。", "B"),
        ("故选B。", "B"),
        ("Bが正解です。", "B"),
        ("정답은 B번입니다.", "B"),
        ("विकल्प B सही है।", "B"),
        ("الخيار الصحيح هو C", "C"),
        ("گزینه B صحیح است.", "B"),
        ("Doğru seçenek C'dir.", "C"),
        ("Chọn B.", "B"),
        ("Die Antwort ist nicht A.", None),
        ("La respuesta no es A.", None),
        ("答案不是A。", None),
        ("Die Antwort ist A oder C.", None),
        ("答案：A、C", None),
    ],
)
def test_choices(text, letter):
    assert extract_answer(text, "choice") == letter
