"""A whole result, its log and its configuration, as a run of `reknit adapt` leaves them on the disk."""

from __future__ import annotations

import math
import random
from typing import Any


def row(value: float, spread: float = 0.03) -> dict[str, Any]:
    """One system's scores around `value`."""
    return {
        "nDCG@10": {"value": value, "ci95": [max(0.0, value - spread), value + spread]},
        "R@100": {
            "value": min(1.0, value * 1.5),
            "ci95": [max(0.0, value * 1.5 - spread), min(1.0, value * 1.5 + spread)],
        },
        "RR@10": {"value": value * 0.9, "ci95": [max(0.0, value * 0.9 - spread), value * 0.9 + spread]},
    }


def full_result(use: str = "adapted") -> dict[str, Any]:
    """Two evaluations, two phases, searches, export check."""
    after, bounds = (0.471, [0.021, 0.067]) if use == "adapted" else (0.431, [-0.018, 0.025])
    word = "rises" if use == "adapted" else "goes"
    head = "Use the adapted model: " if use == "adapted" else "Keep the start model: no significant gain, "
    sentence = (
        f"{head}mean nDCG@10 over 2 collections (nfcorpus, scifact) {word} from 0.427 to {after:.3f} "
        f"({after - 0.427:+.3f}, 95% interval {bounds[0]:+.3f} to {bounds[1]:+.3f}, 623 queries)."
    )
    return {
        "reknit_version": "0.1.0",
        "command": "reknit adapt corpus.jsonl --out runs/medicine --eval nfcorpus --eval scifact --budget 30m",
        "date": "2026-11-21T02:14:09+00:00",
        "seed": 0,
        "machine": {"cpu": "AMD EPYC 9R14", "cores": 2, "memory_gib": 24.0, "gpu": None, "precision": "bfloat16"},
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0"},
        "verdict": {
            "use": use,
            "metric": "nDCG@10",
            "difference": after - 0.427,
            "ci95": bounds,
            "p": 0.0002 if use == "adapted" else 0.61,
            "decided_by": "nfcorpus, scifact",
            "sentence": sentence,
        },
        "evaluations": [
            {
                "dataset": "nfcorpus",
                "queries": 323,
                "documents": 3633,
                "notes": ["12 judgements named documents that are not in the corpus"],
                "rows": {
                    "random": row(0.004, 0.003),
                    "bm25": row(0.325),
                    "start": row(0.316),
                    "bm25+start": row(0.351),
                    "adapted": row(after - 0.13),
                    "bm25+adapted": row(0.368),
                },
            },
            {
                "dataset": "probe",
                "queries": 200,
                "documents": 5000,
                "notes": [],
                "rows": {
                    "random": row(0.001, 0.001),
                    "bm25": row(0.642),
                    "start": row(0.538),
                    "bm25+start": row(0.654),
                    "adapted": row(0.611),
                    "bm25+adapted": row(0.683),
                },
            },
        ],
        "training": {
            "tokens": 4_912_384,
            "seconds": 1650.2,
            "tokens_per_second": 2976.8,
            "flops": 6.32e14,
            "phases": [
                {
                    "name": "pretrain",
                    "recipe": "retromae",
                    "steps": 800,
                    "skipped": 0,
                    "tokens": 3_276_800,
                    "flops": 4.2e14,
                    "seconds": 1100.0,
                    "stopped_because": "budget spent",
                    "best_step": 800,
                    "best_value": 0.54,
                    "kept_best": False,
                },
                {
                    "name": "tune",
                    "recipe": "simcse",
                    "steps": 400,
                    "skipped": 1,
                    "tokens": 1_638_400,
                    "flops": 2.12e14,
                    "seconds": 550.2,
                    "stopped_because": "the probe did not improve 3 times in a row",
                    "best_step": 250,
                    "best_value": 0.61,
                    "kept_best": True,
                },
            ],
        },
        "corpus": {
            "read": 36_540,
            "documents": 36_123,
            "duplicates": 412,
            "empty": 3,
            "unreadable": 2,
            "passages": 61_930,
            "words": 7_001_234,
            "eval_overlaps": 14,
            "problems": ["corpus.jsonl:1207: broken JSON", "corpus.jsonl:88112: not UTF-8"],
            "probe": {"kind": "title", "dev_queries": 200, "test_queries": 200, "judged_by_all": False},
        },
        "export": {
            "max_abs_diff": 3.1e-7,
            "cosine": 0.9999998,
            "against": {"reknit": 0.0, "transformers": 3.1e-7, "sentence-transformers": 3.1e-7},
            "texts": 18,
        },
        "searches": [
            {
                "query": "does vitamin D lower the risk of falls?",
                "hits": [
                    {
                        "id": "MED-1129",
                        "title": "Fall prevention with supplemental vitamin D: a meta-analysis",
                        "text": "To test the efficacy of supplemental vitamin D in preventing falls. " * 6,
                        "score": 0.8123,
                    },
                    {"id": "MED-4402#3", "title": "", "text": "A passage without a title.", "score": 0.713},
                ],
            },
            {"query": "statins and muscle pain", "hits": []},
        ],
        "start": "sentence-transformers/all-MiniLM-L6-v2",
    }


def log_lines(steps: int = 800) -> list[dict[str, Any]]:
    """Two phases, each counting its own tokens; four probes each."""
    chance = random.Random(0)
    lines: list[dict[str, Any]] = []
    for phase, length, names in (
        ("pretrain", steps, ("encoder_mlm", "decoder_mlm")),
        ("tune", steps // 2, ("contrast",)),
    ):
        for step in range(1, length + 1):
            losses = {
                name: 2.0 + i + 6.0 * math.exp(-6 * step / length) + chance.gauss(0, 0.25)
                for i, name in enumerate(names)
            }
            lines.append(
                {
                    "phase": phase,
                    "step": step,
                    "tokens": step * 4096,
                    "seconds": step * 1.4,
                    "loss": sum(losses.values()),
                    "losses": losses,
                    "learning_rate": 1e-4,
                    "grad_norm": 1.0,
                }
            )
            if step % (length // 8) == 0:
                ahead = 0.1 if phase == "tune" else 0.0
                score = 0.5 + ahead + 0.1 * math.sin(step / length * 2.5) + chance.gauss(0, 0.004)
                probe = {"nDCG@10": score, "R@100": 0.9, "RR@10": score - 0.03}
                lines.append(
                    {"phase": phase, "step": step, "tokens": step * 4096, "seconds": step * 1.4, "probe": probe}
                )
    return lines


def full_config() -> dict[str, Any]:
    """The parts of config.json that the report and the card read."""

    def recipe(name: str, title: str, paper: str) -> dict[str, Any]:
        card = {
            "name": name,
            "title": title,
            "year": 2022,
            "paper": paper,
            "adds": f"What {name} adds.",
            "deviates": [],
        }
        return {"card": card | {"citation": "@inproceedings{key, title={A title}}"}, "objective": {"mask_share": 0.3}}

    return {
        "corpus": "corpus.jsonl",
        "start": "sentence-transformers/all-MiniLM-L6-v2",
        "pretrain": recipe("retromae", "RetroMAE: Pre-Training Retrieval-Oriented Language Models", "arXiv:2205.12035"),
        "tune": recipe(
            "simcse", "SimCSE: Simple Contrastive Learning of Sentence Embeddings", "https://arxiv.org/abs/2104.08821"
        ),
        "budget": {"tokens": None, "seconds": 1800.0},
        "seed": 0,
    }


def empty_result() -> dict[str, Any]:
    """A run with no budget: measured, exported, not trained."""
    result = full_result("start")
    result["training"] = {"tokens": 0, "seconds": 0.0, "phases": []}
    result["searches"] = []
    result["evaluations"] = result["evaluations"][1:]
    return result


def pretrained_result() -> dict[str, Any]:
    """As `reknit pretrain` leaves it without --eval and --index: trained and exported, neither judged nor indexed."""
    result = full_result()
    for name in ("verdict", "evaluations", "searches"):
        del result[name]
    result["training"]["phases"] = result["training"]["phases"][:1]
    result["corpus"]["probe"]["judged_by_all"] = True
    return result | {"start": "scratch", "model_holds": "adapted"}
