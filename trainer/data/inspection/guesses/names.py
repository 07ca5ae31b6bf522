"""Names of columns and words of labels, as mills of several countries write them: what a column is likely to be."""

import re
from functools import lru_cache

_EAST = "\u2e80"
"""From here on two signs are a word, and no blanks stand between words."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TIME = _words(
    """
    time timestamp datetime date zeit zeitstempel datum uhrzeit zeitpunkt messzeit aika aikaleima pvm paivays
    päiväys kello tid tidpunkt tidsstämpel klockslag heure horodatage temps date_heure fecha hora tiempo data
    ora tempo czas dato ts epoch unix unixtime recorded logged sampled horário horario data_hora
    日時 時刻 日付 年月日 時間 計測日時 测量时间 时间 日期 시간 일시 날짜
    """
)
BROKEN = _words(
    """
    broken break breaks sheetbreak sheet_break webbreak web_break paperbreak breakage failure fault failed
    abriss abrisse bahnabriss papierabriss riss bruch katko katkot ratakatko banbrott avbrott brott casse
    rupture rottura rotura quebra zryw label anomaly anomalous is_anomaly outlier 断紙 紙切れ 破断 断纸 断头 지절
    """
)
MAYBE_BROKEN = _words(
    """
    y target class status state zustand betriebszustand maschinenzustand event ereignis alarm störung stoerung
    stop stillstand tila häiriö läge etat état estado stato stan meldung bahn web sheet outcome 状態 状态 상태
    """
)
MACHINE = _words(
    """
    machine maschine maschinen machines line linie anlage pm kone linja maskin ligne maquina máquina macchina
    maszyna unit asset equipment device plant mill 抄紙機 号機 機台 纸机 设备
    """
)
TAG = _words(
    """
    tag tags tagname tag_name variable varname signal point pointname item parameter channel kanal messstelle
    messpunkt sensor attribute measurement
    """
)
GRADE = _words(
    """
    grade product produkt produktsorte papiersorte sorte papersorte grade_code gradecode product_code
    productcode recipe rezept rezeptur laji lajike tuote kvalitet sort qualité qualite quality_code grado
    calidad producto prodotto qualita qualità gatunek artikel artikelnummer material quality qualität qualitaet
    produto gramatura 銘柄 品種 品种 牌号 지종
    """
)
NO_GRADE = _words(
    """
    shift schicht vuoro skift operator bediener fahrer name user remark remarks comment comments bemerkung
    bemerkungen kommentar notiz note notes huomautus reason grund syy anmärkning
    """
)
QUALITY = _words(
    """
    quality qual qc q status stat sts st state flag valid validity good confidence substatus qualität qualitaet güte
    zustand gültig gueltig tila laatu kvalitet tillstånd qualité qualite validité état etat calidad estado stato
    qualita qualità jakość stan 品質 状態 质量 状态 품질 상태
    """
)
"""Of columns beside a sensor's, which say how good its readings are..."""
QUALITY_TOO = _words("code opc data signal value number nr no")
"""...words that may stand beside these..."""
VALUE = _words("value val pv cv av wert istwert arvo värde valeur valor valore mesure messwert reading 値 值")
"""...and in the sensor's own name."""
BREAK_WORDS = _words(
    """
    1 true yes y ja j oui si sí kyllä x t wahr break broken sheetbreak webbreak abriss bahnabriss papierabriss
    riss gerissen bruch katko ratakatko poikki banbrott brott casse rupture rottura rotura quebra failure fail
    failed fault anomaly anomalous anomalie abnormal defect sim 断紙 紙切れ 破断 断纸 断头 有 有り はい 是 異常 지절
    """
)
SOUND_WORDS = _words(
    """
    0 false no n nein non nej ei f falsch ok o.k. okay good gut normal intact holds run running runs läuft lauf
    laufend betrieb produktion production in_betrieb produziert käy ajo ajossa i_drift drift marche en_marche
    marcha bene none kein keiner healthy i.o. io não nao 正常 運転 運転中 稼働 稼働中 运行 無 無し 无 いいえ 否 정상
    """
)


def hint(name: str, words: frozenset[str]) -> int:
    """How much a column's name says that it is one of `words`: 2 the name is one, 1 a part of it is, 0 nothing."""
    plain = _joined(name)
    if plain in words:
        return 2
    parts = plain.split("_")
    if any(part in words for part in parts):
        return 1
    long = [word for word in words if len(word) >= 5 or (len(word) > 1 and word[0] >= _EAST)]
    return int(any(part.endswith(word) or part.startswith(word) for part in parts for word in long))


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name: `FI-101.Quality` → fi, 101, quality."""
    return tuple(_joined(re.sub(r"(?<=\d)(?=[A-Z][a-z])", "_", name)).split("_"))


def is_break_word(text: str) -> bool:
    """Whether the text of a label says that the sheet broke: "Abriss", "sheet break 2", "ja", "1.0"."""
    return _says(text, BREAK_WORDS)


def is_sound_word(text: str) -> bool:
    """Whether the text of a label says that all is well: "ok", "in Betrieb", "nein", "0"."""
    return _says(text, SOUND_WORDS)


@lru_cache(maxsize=1024)
def _joined(name: str) -> str:
    """`PaperGrade [code]` → paper_grade_code."""
    split = re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])", "_", name)
    return "_".join(re.findall(r"[^\W_]+", split.casefold()))


def _says(text: str, words: frozenset[str]) -> bool:
    plain = text.casefold().strip()
    if re.fullmatch(r"[01][.,]0+", plain):
        plain = plain[0]
    if plain in words or _joined(plain) in words:
        return True
    parts = _joined(plain).split("_")
    if {"no", "kein", "keine", "ei", "nicht", "not", "ohne"} & set(parts):
        return False
    long = [word for word in words if len(word) >= 4]
    return any(part in long or (len(part) > 5 and part.endswith(tuple(long))) for part in parts)
