"""Renders conversations with chat templates of the published kinds, as transformers' apply_chat_template does.

    pip install jinja2; python test/python/chat_goldens.py

Writes test/golden/chat/templates.json. The environment is that of transformers' chat_template_utils.py.
"""

import json
from pathlib import Path

from jinja2 import TemplateError, Undefined
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = Path(__file__).resolve().parents[2]

# SmolLM2-135M-Instruct's own (Apache-2.0); the others are written for this test after the manner of their families.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{#- The system message is pulled out, so that the date stands before it. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
THINK = """{%- for message in messages %}
    {%- if message.role == "user" or message.role == "system" %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- if '</think>' in message.content %}
            {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
"""
# Puts the system message into the first user message, and ends answers with EOS.
INST = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.first and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] | trim + eos_token }}
    {%- else %}
        {{- raise_exception("Only user, assistant and system roles are supported, with " + message["role"] | upper) }}
    {%- endif %}
{%- endfor %}
"""
SHOUT = "{% for message in messages %}{{ message.role }}: {{ message.content | upper }}\n{% endfor %}"

TEMPLATES = {"smollm2": SMOLLM2, "llama3": LLAMA3, "gemma": GEMMA, "think": THINK, "inst": INST, "shout": SHOUT}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = [
    chat(("user", "What is the capital of France?")),
    chat(("user", "Hi"), ("assistant", "Hello!"), ("user", "Hi")),
    chat(("system", "Be brief."), ("user", "Who are you?"), ("assistant", "A model.")),
    chat(("user", "  padded \n"), ("assistant", "\n answer  ")),
    chat(("user", "user"), ("assistant", "assistant"), ("user", "\n")),
    chat(("user", ""), ("assistant", "")),
    chat(("user", "😀 é e\u0301 日本\r\nשלום"), ("assistant", "👩\u200d👩\u200d👧")),
    chat(("user", "Is <|im_end|> text? </s>"), ("assistant", "{{ no }} {% if %}")),
    chat(("user", "Why?"), ("assistant", "<think>\nLet me see.\nYes.\n</think>\n\nBecause.\nThat is all."), ("user", "ok")),
    chat(("tool", "42"), ("user", "x")),
    chat(("system", " You are\n\nkind. "), ("user", "\tindented\n\tlines\n")),
    chat(("user", "MIXED case"), ("assistant", "123")),
]


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    made.filters["tojson"] = lambda x, **options: json.dumps(x, ensure_ascii=False, **options)
    made.globals["raise_exception"] = raise_exception
    # The workbench gives templates no clock.
    made.globals["strftime_now"] = Undefined()
    return made


def render(template, messages):
    try:
        text = environment().from_string(template).render(
            messages=messages, tools=None, documents=None, add_generation_prompt=False, **TOKENS)
        return {"text": text}
    except TemplateError as error:
        return {"error": str(error)}


def main():
    rows = [{"template": name, "conversation": at, **render(template, messages)}
            for name, template in TEMPLATES.items() for at, messages in enumerate(CONVERSATIONS)]
    path = ROOT / "test/golden/chat/templates.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    golden = {"templates": TEMPLATES, "tokens": TOKENS, "conversations": CONVERSATIONS, "rows": rows}
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
