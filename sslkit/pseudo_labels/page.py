"""The page's HTML, for jinja2 with autoescape: only `policy`, `style` and `script`, the page's own, stand as they are."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy | safe }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pseudo-labels of {{ run }}</title>
<link rel="icon" href="data:,">
<style>{{ style | safe }}</style>
</head>
<body data-generation="{{ generation }}">
<header>
<h1>Pseudo-labels of <span class="run">{{ run }}</span></h1>
<p class="facts">{% for fact in facts %}<span>{{ fact }}</span>{% endfor %}</p>
<p class="facts"><span>{{ "{:,}".format(images) }} of {{ "{:,}".format(pool) }} images</span>\
<span>click one to say what it is; then save the corrections, and give them to <code>sslkit labels apply</code></span></p>
{% if note %}
<p class="note">{{ note }}</p>
{% endif %}
<noscript><p class="note">Without JavaScript the images can be looked at, and neither filtered nor corrected.</p></noscript>
</header>
<div class="tools" role="search" aria-label="Filter and sort">
<div class="tabs" role="group" aria-label="Sections">
<button type="button" data-view="classes" aria-pressed="true">By class</button>
<button type="button" data-view="confident" aria-pressed="false">Most confident</button>
<button type="button" data-view="doubtful" aria-pressed="false">Most doubtful</button>
{% if before is not none %}
<button type="button" data-view="flipped" aria-pressed="false">Flipped since generation {{ before }}</button>
{% endif %}
</div>
<details class="more" open><summary>Filter and sort</summary>
<div class="filters">
<label>Text <input type="search" id="text" placeholder="name or path"></label>
<label>Class <select id="class"><option value="">all</option>
{% for one in classes %}
<option value="{{ loop.index0 }}" data-exact="{{ one.exact }}">{{ one.name }}</option>
{% endfor %}
</select></label>
<label>Kept <select id="kept"><option value="">all</option><option value="yes">kept</option>\
<option value="no">not kept</option></select></label>
{% if known %}
<label>Right <select id="right"><option value="">all</option><option value="yes">right</option>\
<option value="no">wrong</option></select></label>
{% endif %}
<label class="range">Confidence <span><input type="number" id="least" min="0" max="100" value="0" \
aria-label="least confidence in percent"> to <input type="number" id="most" min="0" max="100" value="100" \
aria-label="greatest confidence in percent"> %</span></label>
<label>Sort <select id="sort"><option value="high">most confident first</option>\
<option value="low">most doubtful first</option><option value="class">by class</option>\
<option value="name">by name</option></select></label>
{% if before is not none %}
<label class="check"><input type="checkbox" id="flipped"> flipped</label>
{% endif %}
{% if labeled %}
<label class="check"><input type="checkbox" id="labeled"> labeled too</label>
{% endif %}
<label class="check"><input type="checkbox" id="corrected"> corrected</label>
<button type="button" id="reset">Reset</button>
</div></details>
<p id="count" role="status"></p>
</div>
<main>
<section id="flat" hidden><h2 id="flat-title"></h2><div class="grid"></div></section>
<div id="groups">
{% for group in groups %}
<section class="group" data-class="{{ group.number }}">
<h2>{{ group.name }} <small>{{ "{:,}".format(group.images) }} image{{ "" if group.images == 1 else "s" }}\
{% if group.shown < group.images %}, {{ "{:,}".format(group.shown) }} shown{% endif %}</small></h2>
<div class="grid">
{% for card in group.cards %}
<article class="card{{ "" if card.kept else " dropped" }}" data-id="{{ card.exact }}" data-class="{{ group.number }}" \
data-confidence="{{ card.confidence }}" data-kept="{{ "yes" if card.kept else "no" }}" \
data-flipped="{{ "yes" if card.was is not none else "no" }}" data-sections="{{ card.sections }}" \
data-labeled="{{ "yes" if card.labeled is not none else "no" }}" \
data-right="{{ "" if card.truth is none else "no" if card.wrong else "yes" }}" data-path="{{ card.path }}">
<button type="button" class="picture" aria-label="{{ card.path }}: {{ group.name }}, {{ card.percent }}. Correct it">
{% if card.picture %}
<img src="{{ card.picture }}" alt="" loading="lazy">
{% else %}
<span class="without">no picture</span>
{% endif %}
</button>
<p class="said"><b>{{ group.name }}</b> <span>{{ card.percent }}</span></p>
<p class="bar" style="--share: {{ card.percent }}"></p>
<p class="marks">\
{% if card.labeled is not none %}<span class="mark">labeled: {{ card.labeled }}</span>{% endif %}\
{% if card.was is not none %}<span class="mark flip">was {{ card.was }}</span>{% endif %}\
{% if card.truth is not none and card.wrong %}<span class="mark wrong">is {{ card.truth }}</span>{% endif %}\
{% if not card.kept %}<span class="mark">not kept</span>{% endif %}\
</p>
<p class="name" title="{{ card.path }}">{{ card.name }}</p>
</article>
{% endfor %}
</div>
</section>
{% endfor %}
</div>
<p id="nothing" hidden>No image is like that.</p>
</main>
<footer id="corrections" hidden>
<p><b id="corrections-count"></b></p>
<button type="button" id="undo">Undo all</button>
<button type="button" id="download" class="main">Save corrections.csv</button>
</footer>
<script>{{ script | safe }}</script>
</body>
</html>
"""
