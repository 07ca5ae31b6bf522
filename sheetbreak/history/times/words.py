"""Words in times: days of the week are left out, months and halves of a day become those that formats know."""

import re
from functools import lru_cache

_MONTHS = """
jan january januar janvier enero gennaio tammikuu januari tammi janv ene gen stycznia styczen sty janeiro
feb february februar februari février fevrier febrero febbraio helmikuu févr fevr helmi luty lutego lut fevereiro fev
mar march märz maerz mär mars marzo maaliskuu maalis mrz marzec marca março
apr april avril abril aprile huhtikuu avr abr huhti kwiecień kwietnia kwi
may mai mayo maggio toukokuu maj mag touko maja maio
jun june juni juin junio giugno kesäkuu giu kesä czerwiec czerwca cze junho
jul july juli juillet julio luglio heinäkuu juil lug heinä lipiec lipca lip julho
aug august augusti août aout agosto elokuu ago elo sierpień sierpnia sie
sep sept september septembre septiembre settembre syyskuu set syys wrzesień września wrz setembro
oct october oktober octobre octubre ottobre lokakuu okt ott loka październik października paź outubro out
nov november novembre noviembre marraskuu marras listopad listopada lis novembro
dec december dezember décembre diciembre dicembre joulukuu dez déc dic joulu grudzień grudnia gru dezembro
"""
_DAYS = """
mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday
mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
ma ti ke to pe la su maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai
mån tis ons tors tor fre lör sön måndag tisdag onsdag torsdag fredag lördag söndag
lun mar mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche
mié mie jue vie sáb sab dom lunes martes miércoles jueves viernes sábado domingo
gio lunedì martedì mercoledì giovedì venerdì sabato domenica
pn wt śr czw pt sob nd poniedziałek wtorek środa czwartek piątek sobota niedziela
"""
_BETWEEN_WORDS = "uhr klo kl at um den de del der le à alle ore godz kello"
_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_ENGLISH = {
    word: name for line, name in zip(_MONTHS.split("\n")[1:-1], _NAMES.split(), strict=True) for word in line.split()
}
_BETWEEN = frozenset(_BETWEEN_WORDS.split())
_WEEKDAYS = frozenset(_DAYS.split())
_WORD = re.compile(r"\(?([^\W\d_]+)\)?\.?")
_HALF = re.compile(r"(?<=\d)\s*([AaPp])\.?\s?[Mm]\.?$")
_DIGITS = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)[ T_]?(\d\d)(\d\d)(\d\d)?$")
_YEAR_LAST = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d{1,2}:\d{2}(?::\d{2})?) (\d{4})$")
_HOUR_SIGN = re.compile(r"(?<=\d)\s?h\s?(?=\d\d\b)")
_FINER = re.compile(r"(:\d\d[.,]\d{6})\d+\b")
"""Nanoseconds: more digits than a time has here."""
_MONTH_BETWEEN = re.compile(r"\b(\d{1,2})[/.]([^\W\d_]{3,})[/.](\d{2,4})\b")
_POINTED_CLOCK = re.compile(r" (\d{1,2})\.(\d\d)\.(\d\d)(?:(\.\d{1,6})\d*)?\s+(?=[AaPp]\.?[Mm])")
_BARE_DATE = re.compile(r"\d+[./-]\d+[./-]\d+")
_EAST_DATE = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일号]\s?")
_EAST_DAY = re.compile(r"[(\uff08](?:[月火水木金土日]|[월화수목금토일])[)\uff09]\s?|(?:星期|周)[一二三四五六日天]\s?")
_EAST_CLOCK = re.compile(
    r"(午前|午後|上午|下午|오전|오후)?\s?(\d{1,2})(?:[時时시点]\s?(?:(\d{1,2})[分분]\s?)?(?:(\d{1,2})[秒초])?"
    r"|:(\d{2})(?::(\d{2}))?)$"
)
_AFTERNOON = frozenset({"午後", "下午", "오후"})


def _from_the_east(text: str) -> str:
    """A time in Japanese, Chinese or Korean with signs alone: 2026年1月29日 午後9時04分 as 2026-01-29 21:04."""
    plain = _EAST_DAY.sub("", text)
    plain = _EAST_DATE.sub(lambda date: f"{date[1]}-{int(date[2]):02}-{int(date[3]):02} ", plain).strip()
    if found := _EAST_CLOCK.search(plain):
        half, hour, minute, second = found[1], int(found[2]), found[3] or found[5] or "00", found[4] or found[6]
        hour = hour if half is None else hour % 12 + 12 * (half in _AFTERNOON)
        clock = f"{hour:02}:{int(minute):02}" + (f":{int(second):02}" if second else "")
        plain = f"{plain[: found.start()].rstrip()} {clock}".strip()
    return plain


@lru_cache(maxsize=256)
def without_words(text: str) -> str:
    """A time as the formats have it: "Do, 29. Januar 2026 21:00 Uhr" as "29 Jan 2026 21:00", "8:05p.m." as "8:05 PM",
    2026年1月29日 as 2026-01-29, 29/jan/2026 21h04 as 29-Jan-2026 21:04.

    Digits alone, year first, become ISO 8601. A text without any of this stays as it is.
    """
    if found := _DIGITS.match(text):
        year, month, day, hour, minute, second = found.groups()
        return f"{year}-{month}-{day} {hour}:{minute}:{second or '00'}"
    if any(sign >= "\u2e80" for sign in text):
        return _from_the_east(text)
    plain = _MONTH_BETWEEN.sub(r"\1-\2-\3", _FINER.sub(r"\1", _HOUR_SIGN.sub(":", text)))
    plain = _POINTED_CLOCK.sub(r" \1:\2:\3\4 ", plain)
    plain = _HALF.sub(lambda half: f" {half[1].upper()}M", plain)
    numbered = _BARE_DATE.search(plain) is not None

    def in_english(found: re.Match[str]) -> str:
        word = found[1].casefold()
        if word in _WEEKDAYS and (found.start() == 0 or word not in _ENGLISH) and (numbered or word not in _ENGLISH):
            return ""
        if word in _BETWEEN:
            return ""
        return _ENGLISH.get(word, found[0])

    plain = _WORD.sub(in_english, plain)
    plain = re.sub(r"(?<=\d)\.? ?(?=[A-Z][a-z]{2}\b)|(?<=[a-z])\.? ?(?=\d)", " ", plain) if not numbered else plain
    plain = re.sub(r"\s+[-–]\s+|,\s*(?!\d+$)|\s+", " ", plain).strip(" ,-–")
    return _YEAR_LAST.sub(r"\1 \2 \4 \3", plain)
