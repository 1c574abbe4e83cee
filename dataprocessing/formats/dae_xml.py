"""XML of COLLADA files: elements without their namespace, numbers of their text, references to one another."""

import re
import warnings
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

NAMESPACE = re.compile(r"https?://www\.collada\.org/\d+/\d+/COLLADASchema")
CUT = (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN, expat.errors.XML_ERROR_PARTIAL_CHAR)
MOST_ELEMENTS = 1_000_000  # each takes 300 bytes of memory, whatever is in it
MOST_DEPTH = 1_000


def parsed(data: bytes) -> Element:
    """The root of a COLLADA document. Raises ValueError, also for a document type or entities, which could name other
    files or grow without end, before they are looked at."""
    if data[:2] == b"PK":
        raise ValueError("a zip archive (.zae, .kmz); unpack it, and take the .dae in it")
    parser, builder = expat.ParserCreate(namespace_separator="}"), _Builder()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.tree.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse_types
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        cut = error.code in [expat.errors.codes[ending] for ending in CUT]
        raise ValueError(f"{'truncated' if cut else 'not COLLADA, or damaged'}: no whole XML ({error})") from error
    root = builder.tree.close()
    if root.tag != "COLLADA":
        raise ValueError(f"not COLLADA: its first element is {str(root.tag)[:60]!r}, COLLADA expected")
    return root


class _Builder:
    """Elements as they come, with the names of COLLADA bare and those of other namespaces whole."""

    def __init__(self) -> None:
        self.tree, self.depth, self.count = TreeBuilder(), 0, 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth, self.count = self.depth + 1, self.count + 1
        if self.depth > MOST_DEPTH or self.count > MOST_ELEMENTS:
            raise ValueError(f"elements {self.depth} deep, {self.count:,} of them: more than are read")
        self.tree.start(_local(name), attributes)

    def end(self, name: str) -> None:
        self.depth -= 1
        self.tree.end(_local(name))


def _local(name: str) -> str:
    space, mark, local = name.rpartition("}")
    return local if not mark or NAMESPACE.fullmatch(space) else name


def _refuse_types(*_: object) -> None:
    raise ValueError("a document type or entities (DOCTYPE, ENTITY), which no COLLADA file needs; not read")


def numbers(element: Element | None, what: str) -> np.ndarray:
    """The numbers of an element's text, float64, none if it's empty. Raises ValueError."""
    if element is None:
        raise ValueError(f"damaged: {what} is missing")
    return _parsed(_text(element, what), what)


def whole_numbers(elements: list[Element], what: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers, from 0, of all the elements' texts, and how many each has, both int64. Raises ValueError."""
    texts = [_text(element, what) for element in elements]
    values = _parsed(" ".join(texts), what)
    wrong = values[~((values >= 0) & (values < 2**53) & (values == np.floor(values)))]
    if len(wrong):
        raise ValueError(f"damaged: {wrong[0]:g} in {what}, whole numbers from 0 expected")
    counts = [len(text.split()) for text in texts] if len(texts) > 1 else [len(values)] * len(texts)
    return values.astype(np.int64), np.array(counts, dtype=np.int64)


def _text(element: Element, what: str) -> str:
    if len(element):
        raise ValueError(f"damaged: {str(element[0].tag)[:60]!r} among the numbers of {what}")
    return element.text or ""


def _parsed(text: str, what: str) -> np.ndarray:
    if not text.strip():
        return np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that it stopped at a wrong word
        try:
            return np.fromstring(text, sep=" ")
        except (DeprecationWarning, ValueError) as error:
            raise ValueError(f"damaged: words where numbers are expected, in {what}") from error


def whole_attribute(element: Element, key: str, default: int | None = None) -> int:
    """A whole number from 0 of an element's attributes. Raises ValueError."""
    value = element.get(key, default)
    try:
        number = int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ValueError(f"damaged: {key} of {element.tag} is {str(value)[:40]!r}, a whole number from 0 expected")
    return number


class References:
    """The elements of a document by tag and id."""

    def __init__(self, root: Element):
        self.elements: dict[tuple[str, str], list[Element]] = {}
        for element in root.iter():
            if (name := element.get("id")) is not None:
                self.elements.setdefault((element.tag, name), []).append(element)

    def find(self, url: str | None, *tags: str) -> Element:
        """The one element of these tags that a url, "#id", means. Raises ValueError."""
        if not url or not url.startswith("#"):
            raise ValueError(f"it names {str(url)[:80]!r}, a {tags[0]} of another file, which is not read")
        for name in dict.fromkeys([url[1:], unquote(url[1:])]):
            found = [element for tag in tags for element in self.elements.get((tag, name), [])]
            if len(found) > 1:
                raise ValueError(f"damaged: {len(found)} times a {tags[0]} called {name[:80]!r}")
            if found:
                return found[0]
        raise ValueError(f"damaged: no {' or '.join(tags)} called {url[1:81]!r}, which it names")


def children(element: Element, *tags: str) -> Iterator[Element]:
    """The children with one of these tags, in order."""
    return (child for child in element if child.tag in tags)
