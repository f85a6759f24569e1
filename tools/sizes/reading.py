"""Body measurements and sizes as customers write them, in English and Chinese: "5'5\"", 「1米65」, 「104斤」, "EU 38", "I wear M in Zara".

Lengths are integer mm, weights integer grams. A number beside a word that says what it is ("height 16 cm") and that no body has is kept
apart as doubtful, never used. What is not written is not guessed: 「体重104」 may be kilos or 斤, so it is doubtful too.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tools.kit.reading import chinese_number

Measure = Literal["height", "chest", "waist", "hips", "foot"]
System = Literal["EU", "UK", "US", "CN", "JP"]
Audience = Literal["women", "men", "kids"]
Quantity = Literal["height", "weight", "weight_unit", "chest", "waist", "hips", "foot"]

LIMITS_MM: dict[Measure, tuple[int, int]] = {
    "height": (500, 2300),
    "chest": (400, 1800),
    "waist": (350, 1800),
    "hips": (400, 2000),
    "foot": (80, 350),
}
LIMITS_G = (3_000, 300_000)
ADULT_MM = 1300
PLAUSIBLE_BMI = (11.0, 75.0)
MM_PER_INCH = 25.4
MM_PER_CHI = 1000 / 3
GRAMS_PER_POUND = 453.59237
GRAMS_PER_STONE = 6350.29318
ADULT_YEARS = 17
ANSWER_WORDS = 5
"""A clause of no more words, or Chinese characters, that holds a size and asks nothing is an answer."""


@dataclass(frozen=True)
class SaidSize:
    """A size that the customer wrote; `worn` where it is one they say they wear, not one they ask about."""

    size: str
    system: System | None = None
    brand: str | None = None
    worn: bool = False


@dataclass(frozen=True)
class Doubt:
    """A number that cannot be used: what it was meant for and how it was written."""

    quantity: Quantity
    written: str


@dataclass(frozen=True)
class Said:
    """What a customer told of one person's body."""

    measures: dict[Measure, int] = field(default_factory=dict)
    """In mm."""
    weight_g: int | None = None
    age_years: int | None = None
    sizes: tuple[SaidSize, ...] = ()
    audience: Audience | None = None
    person: str | None = None
    """Whom it is for where that is somebody else: "husband", "mother"."""
    pregnant: bool = False
    wish: Literal["loose", "slim"] | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def worn(self) -> tuple[SaidSize, ...]:
        """The sizes this person says to wear."""
        return tuple(size for size in self.sizes if size.worn)


_ASCII = re.I | re.A
"""With word edges between Latin and Chinese: 「50kg的」."""
_N = r"(\d{1,4}(?:\.\d{1,2})?)"
_NOT_IN_NUMBER = r"(?<![\d.])"
_UNIT = (
    r"\s*(cm|厘米|公分|mm|毫米|meters?|metres?|m(?![a-z])|米|inch(?:es)?|英寸|in(?![a-z])|[\"”″]|'')?(?![\d.]*\d|[a-hj]{1,3}\b)"
)
"""A unit or none; a letter right after the number makes it a bra size, whose number is no girth."""
_FILLER = (
    r"(?:[\s:：=]|length|长度?|measurements?|size|is|are|was|of|about|around|roughly|measures?|at|like|"
    r"是|为|有|大概|大约|约|差不多|在){0,8}"
)
_WORDS: dict[Measure, str] = {
    "height": r"(?:\bheight|\bstature|身高|个子|净高)",
    "chest": r"(?:\bbust|\bchest|胸围|上围|(?<!露)胸(?!罩))",
    "waist": r"(?:\bwaist(?:line)?|腰围|腰(?!带))",
    "hips": r"(?:\bhips?\b|\bseat\b|臀围|屁股|臀)",
    "foot": r"(?:\bfoot(?:\s*length)?|\bfeet|脚长|脚掌|脚(?!踝))",
}
_AFTER: dict[Measure, str] = {
    "height": r"\s*(?:tall|in height|high(?!-)|高(?!腰|帮|领))",
    "chest": r"[\s-]*(?:bust|chest)\b",
    "waist": r"[\s-]*waist",
    "hips": r"[\s-]*hips?\b",
    "foot": r"[\s-]*(?:foot|feet)\b(?!\s*\d)",
}
_FEET = re.compile(
    rf"{_NOT_IN_NUMBER}([3-7])\s*(?:['’′](?!')|(?:ft|feet|foot)(?![a-z])\.?)\s*(?:and\s*)?(?:(\d{{1,2}}(?:\.\d)?)\s*(?:\"|”|″|''|’’|in(?:ch(?:es)?)?\b)?(?!\s*(?:kg|lb|\d)))?",
    _ASCII,
)
_METRES = re.compile(rf"{_NOT_IN_NUMBER}([12])\s?(?:米|m)(\d{{1,2}})(?!\d)(?!\s*(?:kg|公斤|斤|lb))", _ASCII)
_DECIMAL_METRES = re.compile(rf"{_NOT_IN_NUMBER}([012]\.\d{{1,2}})\s*(?:m\b|米|meters?|metres?)", _ASCII)
_CHINESE_METRES = re.compile(r"([一二两])米([零一二三四五六七八九])([零一二三四五六七八九])?")
_CHI = re.compile(r"(?:(\d(?:\.\d{1,2})?)|([一二两三四]))\s*尺\s*(?:(\d)|([一二三四五六七八九半]))?")
_BARE_CM = re.compile(rf"{_NOT_IN_NUMBER}{_N}\s*(?:cm|厘米|公分)", _ASCII)
_TRIPLE = re.compile(
    r"(?:三围|\bmeasurements?|\bbwh|\bvitals?)[^\d]{0,12}(\d{2,3})\s*[-/,，、\s]\s*(\d{2,3})\s*[-/,，、\s]\s*(\d{2,3})(?!\d)"
    r"|(?<![\d./-])(\d{2,3})([-/])(\d{2,3})\5(\d{2,3})(?![\d./-])",
    _ASCII,
)
_BESIDE_WEIGHT = re.compile(
    rf"{_NOT_IN_NUMBER}(1[3-9]\d|20\d|1\.[3-9]\d?|2\.0\d?)\s*(?:[,，、/和及]|\band\b|&|\s)\s*(?:体重|weigh(?:t|ing)?)?\s*{_N}\s*"
    r"(?:kgs?|公斤|千克|斤|lbs?|pounds?|kilos?|磅)",
    _ASCII,
)
_KG = re.compile(rf"{_NOT_IN_NUMBER}{_N}\s*(?:kgs?\b|公斤|千克|kilos?\b|kilograms?\b)", _ASCII)
_JIN = re.compile(rf"{_NOT_IN_NUMBER}(?:{_N}|([一二两三四五六七八九十百零]{{2,6}}))\s*(?:市)?斤")
_POUNDS = re.compile(rf"{_NOT_IN_NUMBER}{_N}\s*(?:lbs?\b|pounds?\b|磅)", _ASCII)
_STONE = re.compile(
    rf"{_NOT_IN_NUMBER}(\d{{1,2}}(?:\.5)?)\s*(?:stones?|st)\b(?:\s*(?:and\s*)?(\d{{1,2}})(?:\s*(?:lbs?|pounds?)\b)?(?!\s*(?:kg|cm|\d)))?",
    _ASCII,
)
_WEIGHT_WORD = re.compile(rf"(?:\bweigh(?:t|s|ing)?|体重|重){_FILLER}{_N}(?!\s*(?:cm|厘米|mm))", _ASCII)
_AGE = re.compile(r"(?<!\d)(\d{1,2})\s*(?:-?\s*years?[\s-]*old|\s?y/?o\b|周?岁)|(?:aged?\s+)(\d{1,2})\b", _ASCII)
_LETTER = r"(?:(?i:X{1,2}S|X{1,3}L|[2-5]XL)|[SML])"
"""A single small letter is a size only beside a word that says so: "it's", "1 m"."""
_LABEL = r"(\d{2,3}/\d{2,3}[ABCYabcy]?|\d{1,3}(?:\.\d)?)"
_NO_UNIT = r"(?![\d.]*\d)(?!\s*(?:cm|厘米|kg|公斤|斤|lb|mm|%|元|块|\$|years?|岁|days?|天))"
_SYSTEMS: dict[str, System] = {
    "eu": "EU", "eur": "EU", "uk": "UK", "us": "US", "usa": "US", "cn": "CN", "jp": "JP",
    "欧码": "EU", "欧": "EU", "英码": "UK", "英": "UK", "美码": "US", "美": "US", "日码": "JP", "日": "JP",
    "国码": "CN", "国标": "CN", "中国码": "CN", "中国": "CN",
}  # fmt: skip
_ZH_SYSTEM = r"欧码|英码|美码|日码|国标|中国码|国码|[欧英美](?=\s*\d)"
_SIZE_FORMS = (
    re.compile(
        rf"\b(?P<system>EUR?|UK|USA?|CN|JP)\s?(?:women'?s|men'?s|sizes?|码)?\s?(?P<label>{_LABEL[1:-1]}|{_LETTER}\b){_NO_UNIT}", _ASCII
    ),
    re.compile(r"(?<![\d./])(?P<label>1[3-9]\d/\d{2,3}[ABCY])(?![A-Za-z])", re.A),
    re.compile(rf"(?<![\d.])(?P<label>{_LABEL[1:-1]})\s*(?P<system>EUR?|UK|USA?|CN|JP)\b", _ASCII),
    re.compile(rf"(?P<system>{_ZH_SYSTEM})(?:的)?\s*(?P<label>{_LABEL[1:-1]}){_NO_UNIT}"),
    re.compile(r"(?<![\d.])(?P<label>\d{2,3}(?:\.5)?)\s?[码号]"),
    re.compile(rf"\bsizes?\s+(?:is\s+|an?\s+)?(?P<label>{_LABEL[1:-1]}|{_LETTER})\b{_NO_UNIT}", _ASCII),
    re.compile(rf"(?<![A-Za-z0-9'’&.-])(?P<label>{_LETTER})(?=\s?[码号])", _ASCII),
    re.compile(rf"(?<![A-Za-z0-9'’&.-])(?P<label>{_LETTER})(?![A-Za-z0-9'’&-])"),
    re.compile(r"(?:\b(?:wear|take|usually|normally|always) (?:an? )?|穿(?:的是|的)?\s*)(?P<label>[sml])(?![\w'’])", _ASCII),
    re.compile(r"\b(?:wear|take|i'?m|am) (?:usually |normally |always )?(?:an? )?(?P<label>\d{1,2}(?:\.5)?) (?:in|at|from)\b", _ASCII),
    re.compile(r"穿(?:的是|的)?\s*(?P<label>\d{2}(?:\.5)?)(?=[的，。,.!！;；]|$)"),
    re.compile(
        r"\b(?:wear|take|am|i['’]?m|usually|normally|always) (?:an? )?(?P<label>medium|small|large|extra[- ](?:small|large))\b", _ASCII
    ),
    re.compile(r"穿(?:的是|的)?(?P<label>[小中大]|加大)[码号]"),
)  # fmt: skip
_SPELLED = {
    "medium": "M", "small": "S", "large": "L", "extra small": "XS", "extra large": "XL",
    "小": "S", "中": "M", "大": "L", "加大": "XL", "2XL": "XXL", "3XL": "XXXL",
}  # fmt: skip
_CLAUSES = re.compile(r"[，。；;!?！？\n]|[.,]\s|\bbut\b|但是?")
_WORN = re.compile(
    r"\b(?:wears?|wearing|usually|normally|always|generally|my (?:usual )?size|i['’]?m (?:an? |usually)|i am an? |takes? an?)|"
    r"穿|平时|一般|通常|平常|我是|习惯|尺码是",
    _ASCII,
)
_ASKED = re.compile(
    r"\b(?:should|shall|can|could|would|will|which|what|do i|does|is it|or)\b|吗|多大|合适|能穿|可以穿|适合|什么|还是|哪个|几码|会不会",
    _ASCII,
)
_BRAND_EN = re.compile(
    r"\b(?:in|at|from)\s+(?:an?\s+|the\s+)?(?!(?:size|eu|uk|us|general|most|all|other|your|my|this|that|it|jeans|dress(?:es)?|tops?|shoes|shirts?|t-shirts?|trousers|clothes|both|cm|inches)\b)"
    r"([A-Z][\w&'’.-]*(?:\s+(?:&\s+|and\s+)?[A-Z][\w&'’-]*){0,3}|[a-z][\w&'’-]{1,20}(?:\s*&\s*[a-z]+)?)",
    re.I,
)
_BRAND_ZH = re.compile(
    r"(?:在|买|穿)?\s?([A-Za-z][A-Za-z&'’. -]{1,24}?|(?<=在)[\u4e00-\u9fff]{2,8}?)\s?(?:家|品牌|旗舰店)?的?"
    r"(?:衣服|裤子|鞋子?|裙子|上衣|[tT]恤)?"
    r"(?:我|平时|一般|通常|都|是|买)*穿"
)
_PEOPLE: dict[str, tuple[Audience, str]] = {
    "wife": ("women", r"\b(?:wife|girlfriend|fiancee)\b|老婆|妻子|女朋友|女友|媳妇|爱人"),
    "mother": ("women", r"\b(?:mother|mom|mum|grandmother|grandma|aunt)\b|妈妈|母亲|老妈|我妈|婆婆|奶奶|外婆"),
    "sister": ("women", r"\bsister\b|姐姐|妹妹|姐妹|闺蜜"),
    "husband": ("men", r"\b(?:husband|boyfriend|fiance)\b|老公|丈夫|男朋友|男友"),
    "father": ("men", r"\b(?:father|dad|grandfather|grandpa|uncle)\b|爸爸|父亲|老爸|我爸|公公|爷爷|外公"),
    "brother": ("men", r"\bbrother\b|哥哥|弟弟|兄弟"),
    "child": (
        "kids",
        r"\b(?:kids?|child|children|son|daughter|boys?|girls?|toddler|baby|niece|nephew)\b|"
        r"孩子|儿子|女儿|宝宝|小孩|小朋友|女童|男童|儿童|娃",
    ),
}  # fmt: skip
_SELF = re.compile(r"\bmyself\b|\bfor me\b|我自己|自己穿", _ASCII)
_WOMEN = re.compile(r"\b(?:wom[ae]n(?:'s)?|female|lady|ladies(?:')?|she|her)\b|女|她", _ASCII)
_MEN = re.compile(r"\b(?:m[ae]n(?:'s)?|male|guy|he|him|his)\b|男|他(?!们)", _ASCII)
_PREGNANT = re.compile(r"\bpregnan|\bexpecting a baby|\bmaternity|怀孕|孕妇|孕期", _ASCII)
_WANT_EN, _WANT_ZH = r"\b(?:like|prefer|want|love|wear)[^.,;!?]{0,30}", r"(?:喜欢|想要?|希望|要)[^，。！？]{0,8}"
_LOOSE = re.compile(rf"{_WANT_EN}\b(?:loose|baggy|relaxed|roomy|oversized)|{_WANT_ZH}(?:宽松|松一点|松点|大一点|大点)", _ASCII)
_SLIM = re.compile(
    rf"{_WANT_EN}\b(?:slim|tight|snug|fitted|close-fitting)|{_WANT_ZH}(?:修身|紧身|贴身|合身一点|紧一点)", _ASCII
)


def read_body(messages: Sequence[str], *, brands: Iterable[str] = (), titles: Iterable[str] = ()) -> Said:
    """What the messages, oldest first, tell of the person that the last of them is about.

    A later number replaces an earlier one; when the talk turns to another person ("and for my husband"), what was told of the first
    is left aside. `brands` are names to recognise, `titles` of products are not read as words of the customer's own.
    """
    known, names = tuple(brands), tuple(sorted(titles, key=len, reverse=True))
    told = Said()
    for message in messages:
        text = re.sub(r"[ \t\u3000]+", " ", message)
        for title in names:
            text = re.sub(re.escape(title), " ", text, flags=re.I)
        new = _read_one(text, known)
        # Nobody named: still the same person. "For me" after "for my husband" is somebody else again.
        other = new.person is not None and new.person != (told.person or "self")
        told = new if other else _merged(told, new)
    return _checked(told)


def _merged(old: Said, new: Said) -> Said:
    corrected = {*new.measures, *(("weight", "weight_unit") if new.weight_g else ())}
    return Said(
        measures={**old.measures, **new.measures},
        weight_g=new.weight_g or old.weight_g,
        age_years=new.age_years or old.age_years,
        sizes=(*old.sizes, *new.sizes),
        audience=new.audience or old.audience,
        person=new.person or old.person,
        pregnant=new.pregnant or old.pregnant,
        wish=new.wish or old.wish,
        doubts=new.doubts or tuple(doubt for doubt in old.doubts if doubt.quantity not in corrected),
    )


def _checked(said: Said) -> Said:
    """Without a weight that nobody of that height has."""
    height = said.measures.get("height")
    if height is None or said.weight_g is None or height < ADULT_MM:
        return said
    bmi = said.weight_g / 1000 / (height / 1000) ** 2
    if PLAUSIBLE_BMI[0] <= bmi <= PLAUSIBLE_BMI[1]:
        return said
    return replace(said, weight_g=None, doubts=(*said.doubts, Doubt("weight", f"{said.weight_g / 1000:g} kg")))


class _Page:
    """A message of which numbers are taken one after the other; each is read once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.measures: dict[Measure, int] = {}
        self.weight_g: int | None = None
        self.doubts: list[Doubt] = []

    def take(self, pattern: re.Pattern[str], use: Callable[[re.Match[str]], bool]) -> None:
        """Offer every match to `use` and blank out those it uses."""
        at = 0
        while found := pattern.search(self.text, at):
            at = max(found.end(), found.start() + 1)
            if use(found):
                self.text = self.text[: found.start()] + "\x00" * (found.end() - found.start()) + self.text[found.end() :]

    def measure(self, measure: Measure, mm: float, written: str, *, certain: bool) -> bool:
        """Keep a length; one that no body has is doubtful if it was certain what it is meant for, else it is something else."""
        low, high = LIMITS_MM[measure]
        if low <= mm <= high:
            self.measures.setdefault(measure, round(mm))
            return True
        if certain:
            self.doubts.append(Doubt(measure, written.replace("\x00", "").strip()))
        return certain

    def weigh(self, grams: float, written: str, *, certain: bool) -> bool:
        """Keep a weight, as `measure` keeps a length."""
        if LIMITS_G[0] <= grams <= LIMITS_G[1]:
            self.weight_g = self.weight_g or round(grams)
            return True
        if certain:
            self.doubts.append(Doubt("weight", written.replace("\x00", "").strip()))
        return certain


def _millimetres(number: str, unit: str | None, measure: Measure) -> float:
    """A length; without a unit, what bodies have decides: a waist of 28 is inches, of 70 cm, of 700 mm."""
    value = float(number)
    unit = (unit or "").strip().lower()
    if unit in ("mm", "毫米"):
        return value
    if unit in ("cm", "厘米", "公分"):
        return value * 10
    if unit in ("m", "米") or unit.startswith(("met",)):
        return value * 1000
    if unit:
        return value * MM_PER_INCH
    if measure == "height":
        return value * 1000 if value < 3 else value * 10 if value < 300 else value
    if measure == "foot":
        return value * 10 if value < 40 else value
    return value * MM_PER_INCH if value < 55 else value * 10 if value < 300 else value


def _read_one(text: str, brands: tuple[str, ...]) -> Said:
    page = _Page(text)
    _take_sizes_of_a_kind(page)
    _take_girths(page)
    _take_height(page)
    _take_weight(page)
    _take_bare_height(page)
    age = _AGE.search(text)
    years = int(next(group for group in age.groups() if group)) if age else None
    person, audience = _who(text)
    if years is not None and years < ADULT_YEARS and audience is None:
        audience = "kids"
    return Said(
        measures=page.measures,
        weight_g=page.weight_g,
        age_years=years,
        sizes=_sizes(text, brands),
        audience=audience,
        person=person,
        pregnant=bool(_PREGNANT.search(text)),
        wish="loose" if _LOOSE.search(text) else "slim" if _SLIM.search(text) else None,
        doubts=tuple(page.doubts),
    )


def _take_sizes_of_a_kind(page: _Page) -> None:
    """Bust-waist-hips in one breath, 「三围88-70-95」, and waists in 尺."""

    def triple(found: re.Match[str]) -> bool:
        numbers = found.group(1, 2, 3) if found.group(1) else found.group(4, 6, 7)
        girths: tuple[Measure, ...] = ("chest", "waist", "hips")
        lengths = [_millimetres(number, None, girth) for number, girth in zip(numbers, girths, strict=True)]
        fits = all(LIMITS_MM[girth][0] <= mm <= LIMITS_MM[girth][1] for girth, mm in zip(girths, lengths, strict=True))
        return fits and all(page.measure(girth, mm, "", certain=False) for girth, mm in zip(girths, lengths, strict=True))

    page.take(_TRIPLE, triple)
    in_turn: tuple[Measure, ...] = ("waist", "chest", "hips")
    for measure in in_turn:

        def in_chi(found: re.Match[str], measure: Measure = measure) -> bool:
            chi = float(found[1]) if found[1] else float(chinese_number(found[2]) or 0)
            tenth = found[3] or found[4]
            if tenth:
                chi += 0.5 if tenth == "半" else (int(tenth) if tenth.isdigit() else chinese_number(tenth) or 0) / 10
            return page.measure(measure, chi * MM_PER_CHI, found[0], certain=True)

        page.take(re.compile(f"{_WORDS[measure]}{_FILLER}{_CHI.pattern}"), in_chi)


def _take_girths(page: _Page) -> None:
    """Numbers after, else before, the word that says what they are."""
    for before in (False, True):
        for measure in get_args(Measure):
            if measure in page.measures or (measure == "height" and not before):
                continue

            def keep(found: re.Match[str], measure: Measure = measure) -> bool:
                return page.measure(measure, _millimetres(found[1], found[2], measure), found[0], certain=True)

            if before:
                page.take(re.compile(f"{_NOT_IN_NUMBER}{_N}{_UNIT}{_AFTER[measure]}", _ASCII), keep)
            else:
                page.take(re.compile(f"{_WORDS[measure]}{_FILLER}{_N}{_UNIT}", _ASCII), keep)


def _take_height(page: _Page) -> None:
    def feet(found: re.Match[str]) -> bool:
        inches = int(found[1]) * 12 + float(found[2] or 0)
        return float(found[2] or 0) < 12 and page.measure("height", inches * MM_PER_INCH, found[0], certain=False)

    def metres(found: re.Match[str]) -> bool:
        # 1米6 is 160 cm, 1米65 is 165 cm.
        return page.measure("height", int(found[1]) * 1000 + int(found[2].ljust(2, "0")) * 10, found[0], certain=False)

    def chinese(found: re.Match[str]) -> bool:
        digits = [chinese_number(group) or 0 for group in (found[1], found[2], found[3] or "零")]
        return page.measure("height", digits[0] * 1000 + digits[1] * 100 + digits[2] * 10, found[0], certain=False)

    page.take(_FEET, feet)
    page.take(_METRES, metres)
    page.take(_CHINESE_METRES, chinese)
    page.take(
        re.compile(f"{_WORDS['height']}{_FILLER}{_N}{_UNIT}", _ASCII),
        lambda found: page.measure("height", _millimetres(found[1], found[2], "height"), found[0], certain=True),
    )
    page.take(_DECIMAL_METRES, lambda found: page.measure("height", float(found[1]) * 1000, found[0], certain=False))


def _take_weight(page: _Page) -> None:
    def beside(found: re.Match[str]) -> bool:
        page.measure("height", _millimetres(found[1], None, "height"), found[0], certain=False)
        return False  # the weight is still to be read

    def stone(found: re.Match[str]) -> bool:
        grams = float(found[1]) * GRAMS_PER_STONE + int(found[2] or 0) * GRAMS_PER_POUND
        return page.weigh(grams, found[0], certain=False)

    def jin(found: re.Match[str]) -> bool:
        number = float(found[1]) if found[1] else float(chinese_number(found[2]) or 0)
        return page.weigh(number * 500, found[0], certain=False)

    def no_unit(found: re.Match[str]) -> bool:
        chinese = "重" in found[0]
        value = float(found[1])
        if chinese and 30 <= value <= 85:
            return page.weigh(value * 1000, found[0], certain=True)
        page.doubts.append(Doubt("weight_unit", found[0].strip()))
        return True

    page.take(_BESIDE_WEIGHT, beside)
    page.take(_STONE, stone)
    page.take(_KG, lambda found: page.weigh(float(found[1]) * 1000, found[0], certain=_is_said_of_a_body(page.text, found)))
    page.take(_JIN, jin)
    page.take(_POUNDS, lambda found: page.weigh(float(found[1]) * GRAMS_PER_POUND, found[0], certain=False))
    if page.weight_g is None:
        page.take(_WEIGHT_WORD, no_unit)


def _is_said_of_a_body(text: str, found: re.Match[str]) -> bool:
    return bool(re.search(r"(?:weigh|体重|身高|重)\D{0,8}$", text[: found.start()], _ASCII))


def _take_bare_height(page: _Page) -> None:
    """ "165 cm" and no word beside it: of all lengths of a body only heights are told so."""
    if "height" not in page.measures:
        page.take(
            _BARE_CM,
            lambda found: float(found[1]) >= 90 and page.measure("height", float(found[1]) * 10, found[0], certain=False),
        )


def _who(text: str) -> tuple[str | None, Audience | None]:
    for other, (audience, words) in _PEOPLE.items():
        if re.search(words, text, _ASCII):
            return other, audience
    person = "self" if _SELF.search(text) else None
    women, men = bool(_WOMEN.search(text)), bool(_MEN.search(text))
    return person, "women" if women and not men else "men" if men and not women else None


def _sizes(text: str, brands: tuple[str, ...]) -> tuple[SaidSize, ...]:
    sizes: list[SaidSize] = []
    asked = bool(_ASKED.search(text) or re.search(r"[?？]|\b(?:have|stock)\b|有货|有没有|呢", text, _ASCII))
    for clause in _CLAUSES.split(text):
        rest = clause
        # A bare "EU 38" or "M in Zara" answers the question what is worn elsewhere.
        answer = not asked and len(re.findall(r"[A-Za-z]+|[\u4e00-\u9fff]", clause)) <= ANSWER_WORDS
        worn = (bool(_WORN.search(clause)) or answer) and not _ASKED.search(clause)
        for form in _SIZE_FORMS:
            while found := form.search(rest):
                label = _SPELLED.get(found["label"].lower().replace("-", " "), found["label"].upper())
                label = _SPELLED.get(label, label)
                system = _SYSTEMS.get((found.groupdict().get("system") or "").lower())
                brand = _brand(clause, found["label"], brands) if worn else None
                sizes.append(SaidSize(label, system, brand, worn))
                rest = rest[: found.start()] + "\x00" * (found.end() - found.start()) + rest[found.end() :]
    return tuple(dict.fromkeys(sizes))


def _brand(clause: str, size: str, brands: tuple[str, ...]) -> str | None:
    for brand in brands:
        if brand.lower() in clause.lower():
            return brand
    if found := _BRAND_EN.search(clause):
        return None if found[1].upper() == size.upper() else found[1].strip()
    if found := _BRAND_ZH.search(clause):
        return None if found[1].upper() == size.upper() else found[1].strip()
    return None
