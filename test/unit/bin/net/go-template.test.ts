import assert from 'node:assert/strict';
import { Dictionary, parseTemplate, TemplateError, type Value } from '../../../../bin/net/template/index.js';

const DATA: Value = {
  Name: '/web',
  Empty: '',
  Nothing: null,
  Pid: 42,
  Running: true,
  List: ['a', 'b', 'c'],
  None: [],
  Labels: new Dictionary({ 'com.example/x': 'y', b: '2', a: '1' }, ''),
  State: { Pid: 42, Status: 'running' },
  Ports: new Dictionary({
    '80/tcp': [
      { HostIp: '0.0.0.0', HostPort: '8080' },
      { HostIp: '::', HostPort: '8080' },
    ],
    '53/udp': null,
  }),
  Label: (name) => `label ${String(name)}`,
  Method: () => ({ Field: 'of a method' }),
};

describe('templates of Go', () => {
  for (const [template, expected] of [
    ['', ''],
    ['plain text }} and { too', 'plain text }} and { too'],
    ['{{.Name}}', '/web'],
    ['{{ .State.Pid }}/{{.State.Status}}', '42/running'],
    ['{{.Running}} {{.Nothing}} {{.List}} {{.None}}', 'true <nil> [a b c] []'],
    ['{{.Labels}}', 'map[a:1 b:2 com.example/x:y]'],
    ['{{.State}}', '{42 running}'],
    ['{{.Labels.a}} {{.Labels.zzz}}', '1 <no value>'],
    ['{{index .Labels "com.example/x"}}|{{index .Labels "zzz"}}|', 'y||'],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
    ['{{(index .Ports "80/tcp" 1).HostIp}}', '::'],
    ['{{with index .Ports "80/tcp"}}{{(index . 0).HostPort}}{{end}}', '8080'],
    ['{{index .Ports "81/tcp"}}', '<nil>'],
    ['{{range .List}}{{.}},{{end}}', 'a,b,c,'],
    ['{{range .None}}x{{else}}none{{end}}', 'none'],
    ['{{range $i, $v := .List}}{{$i}}={{$v}} {{end}}', '0=a 1=b 2=c '],
    ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;com.example/x=y;'],
    [
      '{{range $p, $conf := .Ports}}{{$p}} -> {{with $conf}}{{(index . 0).HostPort}}{{end}} {{end}}',
      '53/udp ->  80/tcp -> 8080 ',
    ],
    ['{{range .Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}', '0.0.0.0 :: '],
    ['{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', 'ac'],
    ['{{range .List}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
    ['{{range $v := .List}}{{$.Name}}{{$v}} {{end}}', '/weba /webb /webc '],
    ['{{range 3}}{{.}}{{end}}', '012'],
    ['{{print .Labels.zzz}} {{printf "%v" .Labels.zzz}}', '<nil> <nil>'],
    ['{{if .Running}}up{{else}}down{{end}}', 'up'],
    ['{{if .Empty}}a{{else if .Nothing}}b{{else}}c{{end}}', 'c'],
    ['{{if and .Running (not .Empty) (gt .Pid 0)}}yes{{end}}', 'yes'],
    ['{{if or .Empty .Name}}yes{{end}}', 'yes'],
    ['{{or .Empty "default"}} {{and .Name .Pid}}', 'default 42'],
    ['{{if or .Running (index .List 9)}}lazy{{end}}', 'lazy'],
    ['{{with .State}}{{.Status}}{{end}}', 'running'],
    ['{{with .Empty}}x{{else}}empty{{end}}', 'empty'],
    ['{{with $x := .State.Pid}}{{$x}}{{end}}', '42'],
    ['{{$n := len .List}}{{$n}}{{$n = 7}}{{$n}}', '37'],
    ['a  {{- " b " -}}  c', 'a b c'],
    ['a {{- /* a comment */ -}} b{{/* another }} one */}}c', 'abc'],
    ['{{range .List}}\n  {{- . -}}\n{{end}}', 'abc'],
    [
      '{{json .State}} {{json .Labels}} {{json .Nothing}}',
      '{"Pid":42,"Status":"running"} {"a":"1","b":"2","com.example/x":"y"} null',
    ],
    ['{{.Name | upper}} {{"AbC" | lower}} {{title "my own words"}}', '/WEB abc My Own Words'],
    ['{{join .List ", "}} {{(split "a:b" ":")}} {{index (split "a:b" ":") 1}}', 'a, b, c [a b] b'],
    ['{{truncate .Name 2}}|{{pad "x" 1 2}}|', '/w| x  |'],
    ['{{slice .Name 1}} {{slice "abc" 0 2}} {{len .Name}} {{len .Labels}}', 'web ab 4 3'],
    [
      '{{printf "%s:%v %q %5d|%-4s|%04d %t %x%%" .Name .Pid "a" 7 "b" 7 true 255}}',
      '/web:42 "a"     7|b   |0007 true ff%',
    ],
    ['{{print "a" 1 2 "b"}}{{println "x" 1}}', 'a1 2bx 1\n'],
    [
      '{{eq .Pid 42}} {{eq .Name "a" "/web"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{ge "b" "a"}}',
      'true true true true true true',
    ],
    ['{{eq .Nothing nil}} {{not .Running}} {{true}}', 'true false true'],
    ['{{.Label "a"}} {{"b" | .Label}} {{.Method.Field}}', 'label a label b of a method'],
    ['{{"tab\\there \\"quoted\\" \\u00e9"}}{{`raw \\t`}}', 'tab\there "quoted" éraw \\t'],
    ['{{.List | len | eq 3}}', 'true'],
  ] as const) {
    it(`give ${JSON.stringify(template)}`, () => {
      assert.equal(parseTemplate(template).render(DATA), expected);
    });
  }

  for (const [template, message] of [
    ['{{', 'an action is not closed by }}'],
    ['{{.Name', 'an action is not closed by }}'],
    ['{{}}', 'an action {{}} is empty'],
    ['{{"a}}', 'a string is not closed'],
    ['{{.Name}', 'unexpected "}" in an action'],
    ['{{/* a', 'unexpected "/" in an action'],
    ['{{/* a */ .Name}}', 'a comment is not closed by */}}'],
    ['{{if .Name}}', '{{if}} without {{end}}'],
    ['{{if}}{{end}}', '{{if}} requires a value'],
    ['{{if .Name}}a{{else}}b', '{{if}} with {{else}}, but without {{end}}'],
    ['{{end}}', '{{end}} without an if, with or range before it'],
    ['{{else}}', '{{else}} without an if, with or range before it'],
    ['{{break}}', '{{break}} outside of a range'],
    ['{{define "x"}}{{end}}', '{{define}} is not supported'],
    ['{{(.Name}}', 'a parenthesis is not closed'],
    ['{{.Name)}}', 'unexpected ")" in an action'],
    ['{{.Name |}}', 'a value is missing'],
    ['{{| .Name}}', 'a value is missing'],
    ['{{.Name | 1}}', 'a literal value in a pipeline takes no argument'],
    ['{{"\\z"}}', 'unknown escape \\z in a string'],
    ['{{$a, $b := .List}}', 'only range sets two variables'],
    [`${'{{if 1}}'.repeat(200)}`, 'blocks are nested too deeply'],
    [`{{${'('.repeat(200)}`, 'an action is not closed by }}'],
    [`{{${'('.repeat(200)}1${')'.repeat(200)}}}`, 'parentheses are nested too deeply'],
    ['x'.repeat(70_000), 'longer than 65536 characters'],
  ] as const) {
    it(`refuse ${JSON.stringify(template).slice(0, 40)}`, () => {
      assert.throws(() => parseTemplate(template), new TemplateError(message));
    });
  }

  it('name the functions that exist', () => {
    assert.throws(
      () => parseTemplate('{{env "HOME"}}'),
      /^TemplateError: unknown function "env"; known are and, eq, .*upper$/,
    );
  });

  for (const [template, message] of [
    ['{{.Foo}}', /^unknown field \.Foo; known are Name, .*State/],
    ['{{.State.Foo}}', /^unknown field \.Foo; known are Pid, Status$/],
    ['{{.Name.Foo}}', /^\.Name is a string and has no field \.Foo$/],
    ['{{.Nothing.Foo}}', /^\.Nothing is nil and has no field \.Foo$/],
    ['{{.Labels.zzz.Foo}}', /^\.Labels\.zzz is nil and has no field \.Foo$/],
    ['{{range .List}}{{.Foo}}{{end}}', /^\. is a string and has no field \.Foo$/],
    ['{{(index .List 0).Foo}}', /^\(…\) is a string and has no field \.Foo$/],
    ['{{index .List 3}}', /^index out of range: 3 of a list of 3$/],
    ['{{index .List "a"}}', /^index of a list takes a number, not a string$/],
    ['{{index .Labels 1}}', /^index of a map takes a string, not a number$/],
    ['{{index .Nothing 0}}', /^index of nil$/],
    ['{{len 1}}', /^len of a number$/],
    ['{{len}}', /^len takes 1 argument, 0 given$/],
    ['{{join .Name ","}}', /^join takes a list, not a string$/],
    ['{{range .Name}}{{end}}', /^range over a string$/],
    ['{{range 1000000}}{{end}}', /^range over 1000000$/],
    ['{{.Name "a"}}', /^\.Name is not a function and takes no arguments$/],
    ['{{eq 1 "a"}}', /^incompatible types for comparison: a number and a string$/],
    ['{{eq .List .List}}', /^cannot compare a list and a list$/],
    ['{{nil}}', /^nil is not a command$/],
    ['{{$x}}', /^undefined variable \$x$/],
    ['{{printf "%d" "a"}}', /^printf cannot show a string by %d$/],
    ['{{printf "%s"}}', /a value for %s is missing$/],
    ['{{printf "a" 1}}', /1 more values than verbs$/],
    ['{{printf "%z" 1}}', /^unknown verb %z of printf/],
    ['{{pad "x" 99999999 1}}', /^pad takes a number from 0 to 10000, not 99999999$/],
    ['{{printf "%99999999d" 1}}', /^printf: the width 99999999 is larger than 10000$/],
  ] as const) {
    it(`report what is wrong with ${template}`, () => {
      assert.throws(() => parseTemplate(template).render(DATA), { name: 'TemplateError', message });
    });
  }

  it('leave the words of a header as they are', () => {
    const template = parseTemplate('{{.ID | lower}} {{json .Names}} {{truncate .ID 2}}');
    assert.equal(template.renderHeader({ ID: 'CONTAINER ID', Names: 'NAMES' }), 'CONTAINER ID NAMES CONTAINER ID');
  });
});
