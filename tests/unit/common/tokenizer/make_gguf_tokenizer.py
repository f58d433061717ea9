"""Writes data/toy_a.gguf: the tokenizer of tests/parity/data/toy_a as llama.cpp's conversion writes it, for gguf_tokens_test.

Of Qwen's conversion this follows the rules for tokens and their types; merges and special ids are the gguf package's own
(pip install gguf==0.19.0).
"""
import json
import pathlib

import gguf

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE.parents[3] / "tests" / "parity" / "data" / "toy_a" / "tokenizer"
ROWS = 1008  # of the embedding: ids without a token are filled


def main():
    content = json.loads((TOKENIZER / "tokenizer.json").read_text(encoding="utf-8"))
    added = {token["id"]: token for token in content["added_tokens"]}
    ordinary = {token_id: text for text, token_id in content["model"]["vocab"].items()}
    tokens, types = [], []
    for token_id in range(ROWS):
        if token_id in added:
            text = added[token_id]["content"]
            looks_special = text.startswith("<|") and text.endswith("|>")
            control = added[token_id]["special"] or looks_special
            tokens.append(text)
            types.append(gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED)
        elif token_id in ordinary:
            tokens.append(ordinary[token_id])
            types.append(gguf.TokenType.NORMAL)
        else:
            tokens.append(f"[PAD{token_id}]")
            types.append(gguf.TokenType.UNUSED)
    (HERE / "data").mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(HERE / "data" / "toy_a.gguf", "qwen3")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    special = gguf.SpecialVocab(TOKENIZER, load_merges=True)
    special.chat_template = None  # not read, and larger than the rest
    special.add_to_gguf(writer, quiet=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
