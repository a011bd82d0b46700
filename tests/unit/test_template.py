"""--format templates: the meaning of each part of the language, and the errors."""

from __future__ import annotations

from typing import Any

import pytest

from tinybox.cli.formatting.template import Template
from tinybox.errors import UsageError

BOX: dict[str, Any] = {
    "Id": "abc",
    "Name": "/web",
    "Pids": 3,
    "State": {"Status": "running", "Health": None},
    "Config": {"Labels": {"x": "y", "a.b": "c"}, "Env": ["A=1", "B=2"], "Cmd": None, "ExposedPorts": {"80/tcp": {}}},
    "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None},
    "Mounts": [{"Source": "/a", "RW": True}, {"Source": "/b", "RW": False}],
    "Label": lambda key: {"x": "y"}.get(key, ""),
}

SAID = {
    "plain {text}": "plain {text}",
    "{{.Id}}\t{{.Name}}": "abc\t/web",
    "{{.State.Status}}": "running",
    "{{json .State}}": '{"Status":"running","Health":null}',
    '{{index .Config.Labels "a.b"}}': "c",
    '{{index .Config.Labels "none"}}|': "|",
    "{{index .Config.Env 1}}": "B=2",
    "{{(index .Mounts 1).Source}}": "/b",
    '{{.Label "x"}}': "y",
    "{{range .Mounts}}{{.Source}}={{.RW}} {{end}}": "/a=true /b=false ",
    "{{range $i, $m := .Mounts}}{{if $i}},{{end}}{{$m.Source}}@{{$.Id}}{{end}}": "/a@abc,/b@abc",
    "{{range $key, $value := .Config.Labels}}{{$key}}:{{$value}};{{end}}": "a.b:c;x:y;",
    "{{range .State.Health}}x{{else}}none{{end}}": "none",
    "{{if .State.Health}}a{{else if eq .Pids 3}}b{{else}}c{{end}}": "b",
    "{{if not .Pids}}a{{else}}b{{end}}": "b",
    "{{if and .Pids (gt .Pids 2)}}many{{end}}": "many",
    "{{with .State}}{{.Status}}{{end}}": "running",
    "{{len .Mounts}}": "2",
    "{{.Name | upper}}": "/WEB",
    "{{lower (upper .Name)}}": "/web",
    '{{join .Config.Env ", "}}': "A=1, B=2",
    '{{printf "%-5s|%d" .Id .Pids}}': "abc  |3",
    "{{println .Id .Pids}}": "abc 3\n",
    "{{.Config.Env}}": "[A=1 B=2]",
    "{{.Config.Labels}}": "map[a.b:c x:y]",
    "{{.State.Health}}": "<nil>",
    "a {{- .Id -}} b": "aabcb",
    "{{/* a comment */}}.": ".",
    '{{"}}"}}{{`\\n`}}{{"\\t"}}': "}}\\n\t",
    "{{$n := .Pids}}{{$n}}": "3",
    "{{ true }}{{ nil }}{{ -1 }}": "true<no value>-1",
    # These results are those of docker 28.2.2 for the same document.
    "{{.ID}}": "abc",
    "{{.Config.Labels.none}}|{{.Config.Labels.none.more}}": "<no value>|<no value>",
    "{{if .Config.Labels.none}}a{{else}}b{{end}}": "b",
    "{{.Config.Cmd}} {{json .Config.Cmd}}": "[] null",
    "{{.Config.ExposedPorts}}": "map[80/tcp:{}]",
    '{{print "a" "b"}} {{print 1 2}} {{print "a" 1 2 "b"}}': "ab 1 2 a1 2b",
    """{{html "<a b='c'>"}} {{urlquery "a b/"}}""": "&lt;a b=&#39;c&#39;&gt; a+b%2F",
    "{{len .Config.Cmd}}": "0",
    "{{$n := 1}}{{$n = 2}}{{$n}}": "2",
    "{{$n := 1}}{{range .Mounts}}{{$n = 5}}{{$m := $n}}{{end}}{{$n}}": "5",
    '{{range .Config.Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{end}}': "B=2",
    "{{range .Config.Env}}a{{.}}{{break}}b{{end}}c": "aA=1c",
    "{{range $p, $to := .Ports}}{{$p}}->{{if $to}}{{(index $to 0).HostPort}}{{end}} {{end}}": "80/tcp->8080 81/tcp-> ",
    '{{(index (index .Ports "80/tcp") 0).HostPort}}': "8080",
    "{{with .State.Health}}{{.Status}}{{else with .State}}{{.Status}}{{end}}": "running",
    '{{truncate .Id 2}} {{pad .Id 1 2}}| {{slice .Id 0 2}} {{title "ab cd"}}': "ab  abc  | ab Ab Cd",
}

WRONG = {
    "{{.Foo}}": "no field .Foo; there are: .Id, .Name",
    "{{.State.Health.Status}}": "no field .Status: nothing has no fields",
    "{{.Id.x}}": "no field .x",
    "{{break}}": "{{break}} outside of a range",
    "{{$n = 1}}": "no variable $n",
    "{{.Id": "}} is missing",
    "{{if .Id}}x": "has no {{end}}",
    "{{end}}": "without a beginning",
    "{{else}}": "without a beginning",
    "{{foo .}}": "no function foo; there are: and, eq",
    "{{index .Mounts 7}}": "index 7",
    "{{}}": "a value is missing",
    "{{.Id | }}": "a value is missing",
    "{{upper}}": "upper cannot be applied to nothing",
    "{{len .Pids}}": "len cannot be applied to 3",
    "{{.Id .Pids}}": "no function",
    "{{.Label}}": "needs its arguments",
    "{{range .Id}}{{end}}": "neither a list nor a map",
    "{{(.Id}}": ") is missing",
    "{{#}}": "cannot be read",
    "{{$x}}": "no variable $x",
}


@pytest.mark.parametrize("template", SAID)
def test_results(template: str) -> None:
    """Each part of the language gives the same as Go's."""
    assert Template(template).render(BOX) == SAID[template]


@pytest.mark.parametrize("template", WRONG)
def test_errors(template: str) -> None:
    """An error names the wrong part, and the possible ones."""
    with pytest.raises(UsageError) as caught:
        Template(template).render(BOX)
    assert str(caught.value).startswith("template: ")
    assert WRONG[template] in str(caught.value)


def test_it_is_not_jinja() -> None:
    """`{% if %}` and `{{ Id }}` are not this language: text, and an unknown function."""
    assert Template("{% if Id %}").render(BOX) == "{% if Id %}"
    with pytest.raises(UsageError, match="no function Id"):
        Template("{{ Id }}").render(BOX)
