"""The style of all drawings, for the page that contains them: it uses the page's colours, with others as a reserve.

The six looks differ in colour, and in the dashes of their lines, so that they differ on a bad projector, too.
"""

STYLE = """
.drawing { display: block; width: 100%; height: 100%; font-family: inherit; }
.drawing text { font-size: 19px; fill: var(--ink, #191917); }
.drawing .tick, .drawing .axis, .drawing .note { fill: var(--soft, #5d5b55); }
.drawing .tick, .drawing .file, .drawing .note { font-size: 17px; }
.drawing .grid { stroke: var(--line, #dcd8cd); stroke-width: 1.2; }
.drawing .line { fill: none; stroke-width: 3.5; stroke-linejoin: round; }
.drawing .name, .drawing .value { font-weight: 650; }
.drawing .limit { stroke: var(--gone, #a3221b); stroke-width: 2.5; stroke-dasharray: 3 6; }
.drawing .ofthelimit { fill: var(--gone, #a3221b); }
.drawing .line.look0, .drawing .mark.look0 { stroke: var(--host, #17569b); }
.drawing .line.look1, .drawing .mark.look1 { stroke: var(--box, #a83c12); stroke-dasharray: 11 6; }
.drawing .line.look2, .drawing .mark.look2 { stroke: var(--new, #17692f); stroke-dasharray: 3 6; }
.drawing .line.look3, .drawing .mark.look3 { stroke: var(--plum, #7a2f8a); stroke-dasharray: 16 5 3 5; }
.drawing .line.look4, .drawing .mark.look4 { stroke: var(--gone, #a3221b); }
.drawing .line.look5, .drawing .mark.look5 { stroke: var(--soft, #5d5b55); stroke-dasharray: 6 4; }
.drawing .mark { fill: var(--card, #fff); stroke-width: 3; stroke-dasharray: none !important; }
.drawing text.look0 { fill: var(--host, #17569b); } .drawing text.look1 { fill: var(--box, #a83c12); }
.drawing text.look2 { fill: var(--new, #17692f); } .drawing text.look3 { fill: var(--plum, #7a2f8a); }
.drawing text.look4 { fill: var(--gone, #a3221b); } .drawing text.look5 { fill: var(--soft, #5d5b55); }
.drawing .bar.look0 { fill: var(--host, #17569b); } .drawing .bar.look1 { fill: var(--box, #a83c12); }
.drawing .bar.look2 { fill: var(--new, #17692f); } .drawing .bar.look3 { fill: var(--plum, #7a2f8a); }
.drawing .bar.look4 { fill: var(--gone, #a3221b); } .drawing .bar.look5 { fill: var(--soft, #5d5b55); }
.drawing .cell0 { fill: var(--line, #dcd8cd); } .drawing .cell1 { fill: var(--box, #a83c12); }
.drawing .cell2 { fill: var(--host, #17569b); } .drawing .cell3 { fill: var(--new, #17692f); }
.drawing .frame { fill: none; stroke: var(--soft, #5d5b55); stroke-width: 1.5; }
.drawing .plate { fill: var(--card, #fff); stroke: var(--line, #dcd8cd); stroke-width: 2; }
.drawing .plate.seen { stroke: var(--new, #17692f); stroke-dasharray: 7 5; }
.drawing .plate1 { stroke: var(--box, #a83c12); } .drawing .plate2 { stroke: var(--host, #17569b); }
.drawing .file { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-weight: 700; }
.drawing .file.plain { font-weight: 400; }
.drawing .state { fill: var(--card, #fff); stroke: var(--ink, #191917); stroke-width: 3; }
.drawing .letter { font-size: 27px; font-weight: 750; }
.drawing .meaning { font-size: 18px; fill: var(--soft, #5d5b55); }
.drawing .move { fill: none; stroke: var(--new, #17692f); stroke-width: 3.2; }
.drawing .move.missed { stroke: var(--soft, #5d5b55); stroke-width: 2; stroke-dasharray: 5 6; }
.drawing .arrow { fill: context-stroke; }
.drawing .by, .drawing .meaning { paint-order: stroke; stroke: var(--paper, #fbfaf6); stroke-width: 5px; }
.drawing .by { fill: var(--new, #17692f); font-weight: 650; font-size: 18px; }
.drawing .by.missed { fill: var(--soft, #5d5b55); font-weight: 400; }
"""
