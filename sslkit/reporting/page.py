"""The page's HTML, for jinja2 with autoescape: only what is the page's own stands as it is (policy, style, scripts, JSON)."""

PAGE = """\
{% macro cells(row, numbers) %}
{% for cell in row %}
{% if loop.first %}<th scope="row">{{ cell }}</th>{% else %}<td{% if numbers[loop.index0] %} class="n"{% endif %}>{{ cell }}\
</td>{% endif %}
{% endfor %}
{% endmacro %}

{% macro data(keys) %}{% for key, value in keys.items() %} data-{{ key }}="{{ value }}"{% endfor %}{% endmacro %}

{% macro table(one) %}
{% set numbers = numeric_columns(one) %}
<div class="scroll" tabindex="0" role="group" aria-label="{{ one.caption or 'Table' }}"><table>
{% if one.caption %}<caption>{{ one.caption }}</caption>{% endif %}
<thead><tr>{% for head in one.head %}<th scope="col"{% if numbers[loop.index0] %} class="n"{% endif %}>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in one.rows %}
<tr{% if one.keys %}{{ data(one.keys[loop.index0]) }}{% endif %}>{{ cells(row, numbers) }}</tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}

{% macro figure(one) %}
{% set name = ids() %}
<figure class="plot" id="{{ name }}" tabindex="0" aria-labelledby="{{ name }}-title" \
{% if one.says %}aria-describedby="{{ name }}-says"{% endif %}>
<h3 id="{{ name }}-title">{{ one.title }}</h3>
<div class="canvas" role="img" aria-label="{{ one.title }}. {{ one.says }}" \
style="min-height: {{ one.layout.get("height", 340) }}px"></div>
<script type="application/json">{{ json(one) | safe }}</script>
{% if one.says %}<figcaption id="{{ name }}-says">{{ one.says }}</figcaption>{% endif %}
{% if one.table %}<details class="numbers"><summary>The numbers</summary>{{ table(one.table) }}</details>{% endif %}
</figure>
{% endmacro %}

{% macro picture(one) %}
{% if one.uri %}<img src="{{ one.uri }}" alt="{{ one.alt }}" loading="lazy">{% endif %}\
{% if one.caption %}<span>{{ one.caption }}</span>{% endif %}
{% endmacro %}

{% macro pictures(one) %}
<figure class="pictures" style="--pictures: {{ one.rows | map("length") | max }}"><figcaption>{{ one.caption }}</figcaption><ul>
{% for row in one.rows %}
<li{% if one.keys %}{{ data(one.keys[loop.index0]) }}{% endif %}>
{% for cell in row %}
<span>{{ picture(cell) }}</span>
{% endfor %}
</li>
{% endfor %}
</ul></figure>
{% endmacro %}

{% macro tree(branches) %}
<ul>
{% for one in branches %}
<li><span><b>{{ one.label }}</b> {{ one.text }}</span>{% if one.below %}{{ tree(one.below) }}{% endif %}</li>
{% endfor %}
</ul>
{% endmacro %}

{% macro choice(one) %}
{% set name = ids() %}
<div class="choice" id="{{ name }}">
<label for="{{ name }}-which">{{ one.label }} <select id="{{ name }}-which">
{% for title, _ in one.options %}
<option value="{{ loop.index0 }}"{% if loop.index0 == one.chosen %} selected{% endif %}>{{ title }}</option>
{% endfor %}
</select></label>
{% for title, inside in one.options %}
<div class="option" role="group" aria-label="{{ title }}"{% if loop.index0 != one.chosen %} hidden{% endif %}>
{{ parts(inside) }}
</div>
{% endfor %}
</div>
{% endmacro %}

{% macro parts(all) %}
{% for one in all %}
{% set kind = kind_of(one) %}
{% if kind == "Prose" %}
<p class="{{ one.kind or "prose" }}">{{ one.text }}</p>
{% elif kind == "Code" %}
{% if one.caption %}<p class="caption">{{ one.caption }}</p>{% endif %}
<pre tabindex="0"><code>{{ one.text }}</code></pre>
{% elif kind == "Numbers" %}
<dl class="large">
{% for item in one.items %}
<div{% if item.color %} data-color="{{ item.color }}"{% endif %}><dt>{{ item.label }}</dt><dd>{{ item.value }}\
{% if item.note %}<small>{{ item.note }}</small>{% endif %}</dd></div>
{% endfor %}
</dl>
{% elif kind == "Facts" %}
<dl class="facts">{% for name, value in one.items %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>
{% elif kind == "Table" %}
{{ table(one) }}
{% elif kind == "Figure" %}
{{ figure(one) }}
{% elif kind == "Pictures" %}
{{ pictures(one) }}
{% elif kind == "Tree" %}
<div class="tree"><p><b>{{ one.title }}</b></p>{{ tree(one.branches) }}</div>
{% elif kind == "Folded" %}
<details class="folded"><summary>{{ one.title }}</summary>{{ parts(one.parts) }}</details>
{% elif kind == "Choice" %}
{{ choice(one) }}
{% endif %}
{% endfor %}
{% endmacro %}

<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{{ mark }}">
<meta http-equiv="Content-Security-Policy" content="{{ policy | safe }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ report.title }}</title>
<link rel="icon" href="data:,">
<style>{{ style | safe }}</style>
</head>
<body>
<a class="skip" href="#story">Skip to the report</a>
<header>
<h1>{{ report.title }}</h1>
<p class="made">{% for fact in report.facts %}<span>{{ fact }}</span>{% endfor %}</p>
<noscript><p class="warning">Without JavaScript there are texts, tables and pictures, and no figures.</p></noscript>
</header>
<div class="bar">
<form id="filters" aria-label="What is shown">
{% for one in report.filters %}
{% if one.many %}
<fieldset data-key="{{ one.key }}"><legend>{{ one.label }}</legend>
{% for value, name in one.options %}
<label><input type="checkbox" value="{{ value }}" checked><i data-color="{{ swatch(value, one.key) }}"></i>{{ name }}</label>
{% endfor %}
</fieldset>
{% else %}
<label>{{ one.label }} <select data-key="{{ one.key }}"><option value="">all</option>
{% for value, name in one.options %}
<option value="{{ value }}">{{ name }}</option>
{% endfor %}
</select></label>
{% endif %}
{% endfor %}
{% if report.filters %}<button type="reset">Show all</button>{% endif %}
</form>
<button type="button" id="theme" aria-label="Light or dark">Dark</button>
</div>
<div class="body">
<nav aria-label="Contents"><ol>
{% for section in report.sections %}
<li><a href="#{{ section.key }}">{{ section.title }}</a></li>
{% endfor %}
</ol></nav>
<main id="story" tabindex="-1">
{% for section in report.sections %}
<section id="{{ section.key }}" aria-labelledby="{{ section.key }}-title">
<h2 id="{{ section.key }}-title">{{ section.title }}</h2>
{{ parts(section.parts) }}
</section>
{% endfor %}
</main>
</div>
<p id="told" class="unseen" role="status"></p>
<script>{{ plotly | safe }}</script>
<script>{{ script | safe }}</script>
</body>
</html>
"""
