"""The view of `tinybox watch` on a terminal, made with Textual: host left, box right, drawn again where facts changed.

The widths follow the terminal. A terminal with few lines shows one panel at a time, a larger one the beginning of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import App
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tinybox.errors import printable
from tinybox.seeing.watch.look import Pace, row_history, spark
from tinybox.seeing.watch.rows import CHANGED, GONE, NEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.events import Resize
    from textual.timer import Timer

    from tinybox.seeing.watch.look import Box
    from tinybox.seeing.watch.rows import Panel, Row, View

PANELS = ("processes", "counters", "files", "upper", "network", "namespaces", "mounts")
TALL = 40  # lines from which on all panels are shown at once
FEW = 8  # rows of each panel then
SPARKS = ("cpu_usage", "memory", "pids")  # counters that are always in view
STYLES = {NEW: "bold black on green", CHANGED: "bold black on yellow", GONE: "strike white on red"}
HOST, BOX, QUIET = "bold cyan", "bold magenta", "dim"


class Lines(Widget):
    """A part of the screen: lines of text. A line is drawn again only if it differs from the one that was there.

    A line that is wider than the screen is cut off. A `Static` of Textual wraps and draws all lines each time: on a
    large terminal that takes two thirds of the CPU time of a picture.
    """

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.lines: list[Text] = []
        self.styles.height = 0

    def show(self, lines: list[Text]) -> None:
        """Replace the lines, and draw those that differ."""
        former, self.lines = self.lines, lines
        if len(lines) != len(former):
            self.styles.height = len(lines)
        for y, line in enumerate(lines):
            if y >= len(former) or line != former[y]:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Return the line *y*, which counts from 0, as Textual draws it."""
        return Strip(self.lines[y].render(self.app.console)) if y < len(self.lines) else Strip.blank(self.size.width)


class Watch(App[None]):
    """The application: *boxes* are looked at in turn with the keys left and right, each look takes one of them."""

    CSS = "VerticalScroll { height: 1fr; }"
    ENABLE_COMMAND_PALETTE = False
    ANIMATION_LEVEL = "none"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "end"),
        ("ctrl+c", "quit", "end"),
        ("right,n", "box(1)", "next box"),
        ("left,p", "box(-1)", "box before"),
        ("tab", "step(1)", "next panel"),
        ("shift+tab", "step(-1)", "panel before"),
        ("a", "all", "all panels"),
        ("space", "hold", "hold"),
        *((str(number), f"panel({number - 1})", name) for number, name in enumerate(PANELS, 1)),
    ]

    def __init__(self, boxes: Sequence[Box]) -> None:
        super().__init__(ansi_color=True)
        self.boxes, self.at, self.chosen = boxes, 0, 0
        self.everything: bool | None = None  # None: as the terminal's height says
        self.held = False
        self.view: View = boxes[0].look()
        self.pace = Pace()
        self._due: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the widgets: two lines that stay, the counters, the names of the panels, and the panels."""
        yield Lines("head")
        yield Lines("sparks")
        yield Lines("tabs")
        with VerticalScroll(can_focus=True):
            yield Lines("body")

    def on_mount(self) -> None:
        """Draw the first look, and wait for the next one."""
        self.draw()
        self._due = self.set_timer(self.pace.next(), self.look)

    def on_resize(self, _event: Resize) -> None:
        """Draw again with the new width."""
        self.draw()

    def look(self) -> None:
        """Look at the shown box, draw what changed, and wait as long as the pace says."""
        if not self.held:
            self.view = self.boxes[self.at].look()
            self.draw()
        self._due = self.set_timer(self.pace.next(), self.look)

    def action_box(self, step: int) -> None:
        """Show another box."""
        self.at = (self.at + step) % len(self.boxes)
        self.view = self.boxes[self.at].look()
        self.draw()

    def action_panel(self, number: int) -> None:
        """Show one panel alone."""
        self.chosen, self.everything = number, False
        self._from_the_top()

    def action_step(self, step: int) -> None:
        """Show the next panel alone, or the one before."""
        self.action_panel((self.chosen + step) % len(PANELS))

    def action_all(self) -> None:
        """Show all panels, or one again."""
        self.everything = not self._shows_all()
        self._from_the_top()

    def action_hold(self) -> None:
        """Hold the picture, so that a room can read it, or go on."""
        self.held = not self.held
        self.draw()

    def _from_the_top(self) -> None:
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self.draw()

    def _shows_all(self) -> bool:
        return self.size.height >= TALL if self.everything is None else self.everything

    def draw(self) -> None:
        """Give each part its lines."""
        width = max(self.size.width, 20)
        parts = {
            "head": [part for line in self._head(width) for part in line.wrap(self.console, width)],
            "sparks": self._sparks(width),
            "tabs": list(self._tabs().wrap(self.console, width)),
            "body": self._body(width - 2),
        }
        for name, lines in parts.items():
            self.query_one(f"#{name}", Lines).show(lines)

    def _head(self, width: int) -> list[Text]:
        view = self.view
        which = f" {self.at + 1} of {len(self.boxes)}" if len(self.boxes) > 1 else ""
        state = view.ended or f"{view.status}, first process {view.pid}"
        left = Text.assemble(("host ", HOST), "| ", (f"box {view.name}", BOX), which, "  ", state)
        if self.held:
            left.append("  held", "bold reverse")
        pace = f"a look each {self.pace.seconds:.1f} s, {self.pace.share * 100:4.1f} % of a CPU"
        if width - left.cell_len > len(pace) + 2:
            left.append(" " * (width - left.cell_len - len(pace)))
            left.append(pace, QUIET)
        return [left, Text("q ends  1-7 panel  a all  space holds  <- -> box", QUIET)]

    def _sparks(self, width: int) -> list[Text]:
        lines = []
        box = self.boxes[self.at]
        for panel in self.view.panels:
            for row in panel.rows:
                history = row_history(box, panel, row)
                if history and (row.key in SPARKS or (panel.name == "network" and row.key != "lo")):
                    words = set_cell_size(printable(row.box), 30)
                    lines.append(
                        Text.assemble(spark(history, max(width - 32, 8)).rjust(max(width - 32, 8)), "  ", words)
                    )
        return lines

    def _tabs(self) -> Text:
        line = Text()
        for number, name in enumerate(PANELS):
            marks = {row.mark for row in self.view.panel(name)} - {""}
            is_chosen = number == self.chosen and not self._shows_all()
            style = STYLES[CHANGED] if marks else "reverse" if is_chosen else QUIET
            line.append(f"{number + 1} {name}", style)
            line.append("  ")
        return line

    def _body(self, width: int) -> list[Text]:
        lines: list[Text] = []
        for panel in self.view.panels:
            if self._shows_all():
                lines += [*_panel(panel, width, FEW), Text()]
            elif panel.name == PANELS[self.chosen]:
                lines += _panel(panel, width)
        return lines


def _panel(panel: Panel, width: int, most: int | None = None) -> list[Text]:
    """Return the lines of a panel: the names of both sides, and of its rows the first *most* and those that changed."""
    left = (width - 3) // 2
    lines = [_line(panel.host, panel.box, left, width, HOST, BOX)]
    shown = [row for number, row in enumerate(panel.rows) if most is None or number < most or row.mark]
    lines += [_row(row, left, width) for row in shown]
    if len(shown) < len(panel.rows):
        lines.append(Text(f"and {len(panel.rows) - len(shown)} more: key {PANELS.index(panel.name) + 1}", QUIET))
    return lines


def _row(row: Row, left: int, width: int) -> Text:
    style = STYLES.get(row.mark, "")
    return _line(row.host, row.box, left, width, style, style)


def _line(host: str, box: str, left: int, width: int, of_host: str, of_box: str) -> Text:
    return Text.assemble((_fitted(host, left), of_host), " | ", (_fitted(box, width - left - 3), of_box))


def _fitted(text: str, cells: int) -> str:
    """Return *text*, safe for a terminal, with exactly that many *cells*; a text that is too long ends with "…"."""
    safe = printable(text)
    return set_cell_size(safe, cells) if cell_len(safe) <= cells else set_cell_size(safe, cells - 1) + "…"
