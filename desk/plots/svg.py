"""SVG elements, escaped; colours come from the style sheet by class."""

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | int | float


def element(name: str, *inner: str, **attributes: Attribute) -> Markup:
    """One element. `cls` is its class, an underscore in a name a hyphen; strings inside are escaped, Markup is not."""
    words = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{_text(value)}"' for key, value in attributes.items()
    )
    within = "".join(map(escape, inner))
    return Markup(f"<{name}{words}>{within}</{name}>")  # noqa: S704 - all but our own words is escaped


def rectangle(x: float, y: float, width: float, height: float, *, cls: str) -> Markup:
    """`element` for a rectangle, in a third of the time: a page may have thousands. cls is a word of ours."""
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
    return Markup(f'<rect {place} class="{cls}"></rect>')  # noqa: S704 - numbers, and a word of ours


def segment(x1: float, y1: float, x2: float, y2: float, *, cls: str) -> Markup:
    """`element` for a line, as `rectangle`."""
    place = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
    return Markup(f'<line {place} class="{cls}"></line>')  # noqa: S704 - numbers, and a word of ours


def disc(cx: float, cy: float, r: float, *, cls: str) -> Markup:
    """`element` for a circle, as `rectangle`."""
    place = f'cx="{_number(cx)}" cy="{_number(cy)}" r="{_number(r)}"'
    return Markup(f'<circle {place} class="{cls}"></circle>')  # noqa: S704 - numbers, and a word of ours


def picture(width: int, height: int, inner: Iterable[Markup], *, label: str, cls: str) -> Markup:
    """A whole plot, `label` being what a screen reader says of it."""
    return element(
        "svg",
        *inner,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        cls=cls,
    )


def _text(value: Attribute) -> str:
    if isinstance(value, float):
        return _number(value)
    return str(value) if isinstance(value, int) else str(escape(value))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
