"""Pictures and sound within a text: which position is which part, and what the language model reads of it."""

import numpy as np
import pytest
import torch

import tiny
import tiny_media as media
from attnflow import explain
from attnflow.capture import capture
from attnflow.errors import InputError, NetworkError, OptionError
from attnflow.network import FlowNetwork

FAMILIES = (
    "llava",
    "llava-next",
    "paligemma",
    "gemma3",
    "qwen2-vl",
    "internvl",
    "idefics3",
    "mistral3",
    "blip-2",
    "qwen2-audio",
)
READS_AHEAD = {"paligemma", "gemma3"}


def batch(inputs):
    """Inputs as tensors with a batch axis."""
    return {
        name: torch.tensor([value]) if isinstance(value, list) else value for name, value in inputs.items()
    }


def language(model):
    return model.get_decoder()


def parts(model, inputs, change):
    """Positions of the language model's input that differ when what the vision tower makes is changed."""
    kept = []
    handle = language(model).register_forward_pre_hook(
        lambda module, args, kwargs: kept.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        model(**batch(inputs))
        with change:
            model(**batch(inputs))
    handle.remove()
    return torch.nonzero((kept[0] - kept[1]).abs().sum(-1)[0] > 1e-5).flatten().tolist()


class Changed:
    """Within it, one position of the output of a vision tower's last layer is another."""

    def __init__(self, module, place, row=0):
        self.module, self.place, self.row = module, place, row

    def __enter__(self):
        def change(module, args, output):  # in place, as other hooks keep the same tensor
            first = output[0] if isinstance(output, tuple) else output
            rows = first if first.ndim == 2 else first[self.row]
            rows[self.place] += torch.linspace(-5, 9, rows.shape[-1]) ** 2

        self.handle = self.module.register_forward_hook(change)

    def __exit__(self, *error):
        self.handle.remove()


def last_layer(model, back=1):
    tower = model.get_encoder(modality="image")
    lists = [module for module in tower.modules() if isinstance(module, torch.nn.ModuleList)]
    return next(part for part in lists if len(part) == 2)[-back]


#: family -> (tiles, patches per side of a tile, layer that features are taken from, counted from the end, and
#: positions in front of the patches)
TOWERS = {
    "llava": (1, 3, 3, 2, 1),
    "paligemma": (1, 3, 3, 1, 0),
    "gemma3": (1, 4, 4, 1, 0),
    "internvl": (2, 4, 4, 1, 1),
    "idefics3": (1, 4, 4, 1, 0),
    "mistral3": (1, 4, 4, 1, 0),
    "llava-next": (3, 3, 3, 2, 1),
}


@pytest.mark.parametrize("family", TOWERS)
def test_each_position_is_the_part_that_it_says(family):
    """Changing what the tower makes of one patch changes the position that says it is that part of the picture."""
    model, inputs = media.mixed(family)
    trace = capture(model, inputs=inputs)
    tiles, rows, columns, back, front = TOWERS[family]
    layer = last_layer(model, back)
    for tile, row, column in [(0, 0, 0), (tiles - 1, 0, columns - 1), (tiles - 1, rows - 1, 0), (0, 1, 2)]:
        touched = parts(model, inputs, Changed(layer, front + row * columns + column, tile))
        for position in touched:
            token = trace.decoder_tokens[position]
            grid = trace.media[token.medium].grid
            if family == "llava-next" and tile:
                # two tiles side by side, of which the rows that are padding are gone
                wide = (row, columns * (tile - 1) + column)
                assert (token.medium, token.patch) == (1, wide)
                continue
            assert token.medium == tile
            scale = rows // grid[0]
            assert token.patch == (row // scale, column // scale)
        assert len(touched) == 1


def test_qwen_merges_squares():
    """Patches come square by square: four neighbours are one position."""
    model, inputs = media.mixed("qwen2-vl")
    trace = capture(model, inputs=inputs)
    assert trace.media[0].grid == (2, 3)
    assert trace.media[0].size == (32, 48)
    blocks = last_layer(model)
    for number, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]):
        (position,) = parts(model, inputs, Changed(blocks, number * 4 + 1))
        assert trace.decoder_tokens[position].patch == (row, column)
    bright = inputs["pixel_values"].clone()
    bright[4:8] += 100  # the square at (0, 1)
    shown = capture(model, inputs={**inputs, "pixel_values": bright}).media[0].thumbnail
    assert shown[:16, 16:32].min() > shown[16:].max()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_model_is_what_is_explained(family):
    model, inputs = media.mixed(family)
    trace = capture(model, inputs=inputs, generate=3)
    size = len(inputs["input_ids"])
    assert trace.architecture == "decoder"
    assert trace.prompt == size
    assert len(trace.record("attention").decoder) == 2
    assert trace.causal == (family not in READS_AHEAD)
    # decisions are those of step by step decoding, with its cache and masks
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model.generate(
            **batch(inputs),
            max_new_tokens=3,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
    for decision, scores in zip(trace.decisions, out.scores, strict=True):
        chances = scores[0].softmax(-1)
        assert decision.id == int(chances.argmax())
        assert decision.probability == pytest.approx(float(chances.max()), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_eager_attention_is_the_oracle(family):
    model, inputs = media.mixed(family)
    trace = capture(model, inputs=inputs)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(**batch(inputs), output_attentions=True)
    attentions = getattr(out, "attentions", None) or out.language_model_outputs.attentions
    for kept, layer in zip(trace.record("attention").decoder, attentions, strict=True):
        np.testing.assert_allclose(kept, layer[0].mean(0), atol=1e-6)


@pytest.mark.parametrize("family", ["paligemma", "gemma3"])
def test_decoders_that_read_ahead(family):
    """F1 and F5 hold without causality, and flow can be traced on to the prompt."""
    model, inputs = media.mixed(family)
    for prefix in ("players", "closed"):
        result = explain(model, inputs=inputs, generate=3, prefix=prefix, method="rollout")
        np.testing.assert_allclose(result.total, 1, atol=1e-9)
        np.testing.assert_allclose(result.scores.sum(axis=1), 1, atol=1e-9)
    trace = capture(model, inputs=inputs, generate=3)
    matrices = [layer.copy() for layer in trace.record("attention").decoder]
    FlowNetwork.decoder(matrices, prompt=trace.prompt, prefix="closed", causal=False)
    with pytest.raises(NetworkError, match="causal=False"):
        FlowNetwork.decoder(matrices)
    matrices[0][0, -1] = 0.1
    with pytest.raises(NetworkError, match="that was generated"):
        FlowNetwork.decoder(matrices, prompt=trace.prompt, prefix="closed", causal=False)


def test_parts_without_a_place():
    """Queries that look at the whole picture are no places in it."""
    model, inputs = media.mixed("blip-2")
    trace = capture(model, inputs=inputs)
    assert [token.text for token in trace.decoder_tokens[:4]] == [f"image part {n}" for n in range(4)]
    assert {token.patch for token in trace.decoder_tokens} == {None}
    assert trace.media[0].thumbnail is not None


def test_sound_within_a_text():
    model, inputs = media.mixed("qwen2-audio")
    trace = capture(model, inputs=inputs, processor=media.ear())
    heard = trace.decoder_tokens[1:21]
    assert [round(token.time[0], 3) for token in heard[:3]] == [0.0, 0.03, 0.07]
    assert heard[10].text == "0.39-0.43 s"


def test_text_alone_for_a_model_that_sees():
    model, _ = media.mixed("llava")
    trace = capture(model, inputs={"input_ids": [1, 5, 6, 7]}, generate=2)
    assert trace.media == ()
    assert trace.causal


# -- from pictures and texts ------------------------------------------------------------------------------

QUESTION = "what is in this picture ? <image> describe it please"


def test_a_picture_within_a_text():
    """The processor's own tensors, tokens with their place in the text as it was written."""
    model, _ = media.mixed("llava")
    processor = media.llava_processor()
    picture = media.picture()
    trace = capture(model, QUESTION, image=picture, processor=processor)
    same = processor(images=[picture], text=QUESTION, return_tensors="pt")
    other = capture(model, inputs=same, processor=processor)
    for one, two in zip(trace.record("attention").decoder, other.record("attention").decoder, strict=True):
        np.testing.assert_array_equal(one, two)
    assert trace.media == other.media
    assert trace.text == QUESTION
    told = [token for token in trace.decoder_tokens if token.span]
    assert [QUESTION[slice(*token.span)] for token in told] == [token.text for token in told]
    assert len(told) == 9
    assert sum(token.patch is not None for token in trace.decoder_tokens) == 9
    np.testing.assert_allclose(trace.media[0].thumbnail.astype(int), picture, atol=1)


def test_players_of_a_picture_within_a_text():
    model, _ = media.mixed("llava")
    result = explain(
        model,
        QUESTION,
        image=media.picture(),
        tokenizer=media.llava_processor(),  # a processor does where a tokenizer is asked for
        players="words",
        method="rollout",
        generate=2,
    )
    kinds = [player.kind for player in result.players]
    assert kinds.count("patch") == 9
    assert [player.label for player in result.players if player.kind == "text"][:3] == ["what", "is", "in"]
    np.testing.assert_allclose(result.scores.sum(axis=1), 1, atol=1e-9)


def test_several_pictures():
    model, _ = media.mixed("llava")
    trace = capture(
        model,
        "a <image> and the other <image> ?",
        image=[media.picture(), media.picture(seed=1)],
        processor=media.llava_processor(),
    )
    assert [medium.name for medium in trace.media] == ["image 1", "image 2"]
    second = [token for token in trace.decoder_tokens if token.medium == 1]
    assert second[4].text == "image 2 patch 1,1"
    np.testing.assert_allclose(trace.media[1].thumbnail.astype(int), media.picture(seed=1), atol=1)


@pytest.mark.parametrize("where", ["inside", "beside"])
def test_a_chat_with_a_picture(where):
    model, _ = media.mixed("llava")
    part = {"type": "image", "image": media.picture()} if where == "inside" else {"type": "image"}
    chat = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "what is in"}, part, {"type": "text", "text": "?"}],
        },
        {"role": "assistant", "content": "a cat"},
        {"role": "user", "content": "describe it please"},
    ]
    options = {} if where == "inside" else {"image": media.picture()}
    trace = capture(model, chat, processor=media.llava_processor(), generate=2, **options)
    said = {turn: [] for turn in range(4)}
    for token in trace.decoder_tokens:
        if token.role and not token.generated:
            said[token.turn].append(token.text)
    assert said == {0: ["what", "is", "in", "?"], 1: ["a", "cat"], 2: ["describe", "it", "please"], 3: []}
    assert sum(token.patch is not None for token in trace.decoder_tokens) == 9
    assert trace.decoder_tokens[-1].role == "assistant"


def test_texts_that_do_not_say_where():
    model, _ = media.mixed("llava")
    processor = media.llava_processor()
    with pytest.raises(
        InputError, match=r"0 times '<image>', and 1 images were given: write '<image>' where"
    ):
        capture(model, "what is in this picture ?", image=media.picture(), processor=processor)
    with pytest.raises(InputError, match=r"1 times '<image>', and 2 images"):
        capture(model, QUESTION, image=[media.picture()] * 2, processor=processor)
    with pytest.raises(InputError, match="reads an image within a text: pass text"):
        capture(model, image=media.picture(), processor=processor)
    with pytest.raises(InputError, match="needs a processor"):
        capture(model, QUESTION, image=media.picture(), processor=media.eye())
    with pytest.raises(InputError, match="hears no sound"):
        capture(model, QUESTION, audio=(media.tone(0.1), 16000), processor=processor)


def test_a_picture_beside_a_text_for_a_model_that_only_reads():
    with pytest.raises(InputError, match="BertModel reads no images"):
        capture(tiny.build("bert"), "a dog", image=media.picture(), tokenizer=tiny.wordpiece())
    with pytest.raises(InputError, match="ViTModel reads images, not text"):
        capture(media.build("vit"), "a dog", image=media.picture(), processor=media.eye())


def test_chats_that_hold_a_picture_twice():
    model, _ = media.mixed("llava")
    part = {"type": "image", "image": media.picture()}
    chat = [{"role": "user", "content": [part, {"type": "text", "text": "what ?"}]}]
    with pytest.raises(OptionError, match=r"holds image parts of its own, and image="):
        capture(model, chat, image=media.picture(), processor=media.llava_processor())


def test_a_place_and_no_picture():
    """A text that says where a picture stands is not read without one."""
    model = media.mixed("llava")[0]
    with pytest.raises(InputError, match=r"place for an image, and no image .*LlavaFor.*pass image="):
        capture(model, "what is <image> ?", processor=media.llava_processor())
