"""The documented schema, typed in from the document and compared with the server's catalogue.

Nothing here looks at the models: a slip that models and migrations share must still be seen. The
last tests are the foundation document's verification list.
"""

import re
from collections.abc import Iterator

import pytest
from postgres import revision_of
from sqlalchemy import Connection, func, select, text
from sqlalchemy import table as sql_table

from db import schema_state
from db.schema_state import check_schema
from db.session import Database
from db.urls import rendered

# Column: type, "!" for NOT NULL, and "= default".
TABLES = {
    "videos": """
        id                integer ! = nextval
        identifier        character varying(255) !
        source_url        text
        cloud_url         text !
        title             character varying(500)
        duration_seconds  double precision
        file_size_kb      bigint
        video_codec       character varying(50)
        audio_codec       character varying(50)
        resolution        character varying(20)
        frame_rate        double precision
        created_at        timestamp without time zone = now()
    """,
    "transcripts": """
        id                       integer ! = nextval
        video_id                 integer !
        full_text                text !
        word_timestamps          jsonb !
        segment_timestamps       jsonb !
        language                 character varying(10) = 'en'::character varying
        number_of_words          integer
        number_of_segments       integer
        transcription_service    character varying(50)
        processing_time_seconds  double precision
        created_at               timestamp without time zone = now()
    """,
    "moments": """
        id                    integer ! = nextval
        identifier            character varying(20) !
        video_id              integer !
        start_time            double precision !
        end_time              double precision !
        title                 character varying(500) !
        is_refined            boolean = false
        parent_id             integer
        generation_model      character varying(100)
        generation_config_id  integer
        score                 integer
        scoring_model         character varying(100)
        scored_at             timestamp without time zone
        created_at            timestamp without time zone = now()
        updated_at            timestamp without time zone = now()
    """,
    "prompts": """
        id             integer ! = nextval
        user_prompt    text !
        system_prompt  text !
        prompt_hash    character varying(64) !
        created_at     timestamp without time zone = now()
    """,
    "generation_configs": """
        id                 integer ! = nextval
        prompt_id          integer !
        transcript_id      integer
        model              character varying(100) !
        operation_type     character varying(50) !
        temperature        double precision
        top_p              double precision
        top_k              integer
        min_moment_length  double precision
        max_moment_length  double precision
        min_moments        integer
        max_moments        integer
        config_hash        character varying(64) !
        created_at         timestamp without time zone = now()
    """,
    "clips": """
        id             integer ! = nextval
        moment_id      integer !
        video_id       integer !
        cloud_url      text !
        start_time     double precision !
        end_time       double precision !
        padding_left   double precision !
        padding_right  double precision !
        file_size_kb   bigint
        format         character varying(20)
        video_codec    character varying(50)
        audio_codec    character varying(50)
        resolution     character varying(20)
        created_at     timestamp without time zone = now()
    """,
    "thumbnails": """
        id            integer ! = nextval
        video_id      integer
        clip_id       integer
        cloud_url     text !
        file_size_kb  bigint
        created_at    timestamp without time zone = now()
    """,
    "pipeline_history": """
        id                       integer ! = nextval
        identifier               character varying(100) !
        video_id                 integer !
        generation_config_id     integer !
        pipeline_type            character varying(50) !
        status                   character varying(20) !
        started_at               timestamp without time zone !
        completed_at             timestamp without time zone
        duration_seconds         double precision
        total_moments_generated  integer
        total_clips_created      integer
        error_stage              character varying(50)
        error_message            text
        created_at               timestamp without time zone = now()
    """,
}

# Name: table, method and columns, and the predicate of a partial index. "unique" where documented.
INDEXES = {
    "idx_videos_identifier": "videos unique btree (identifier)",
    "idx_videos_source_url": "videos btree (source_url)",
    "idx_videos_created_at": "videos btree (created_at)",
    # Documented plainly; unique because its column is.
    "idx_transcripts_video_id": "transcripts unique btree (video_id)",
    "idx_transcripts_full_text": ("transcripts gin (to_tsvector('english'::regconfig, full_text))"),
    "idx_moments_identifier": "moments unique btree (identifier)",
    "idx_moments_video_id": "moments btree (video_id)",
    "idx_moments_is_refined": "moments btree (is_refined)",
    "idx_moments_parent_id": "moments btree (parent_id)",
    "idx_moments_score": "moments btree (score) WHERE (score IS NOT NULL)",
    "idx_moments_timestamps": "moments btree (start_time, end_time)",
    "idx_prompts_hash": "prompts unique btree (prompt_hash)",
    "idx_generation_configs_hash": "generation_configs unique btree (config_hash)",
    "idx_generation_configs_prompt_id": "generation_configs btree (prompt_id)",
    "idx_generation_configs_transcript_id": "generation_configs btree (transcript_id)",
    "idx_generation_configs_model": "generation_configs btree (model)",
    "idx_generation_configs_operation": "generation_configs btree (operation_type)",
    "idx_clips_moment_id": "clips unique btree (moment_id)",
    "idx_clips_video_id": "clips btree (video_id)",
    "idx_thumbnails_video_id": "thumbnails btree (video_id)",
    "idx_thumbnails_clip_id": "thumbnails btree (clip_id)",
    "idx_thumbnails_video_id_unique": (
        "thumbnails unique btree (video_id) WHERE (video_id IS NOT NULL)"
    ),
    "idx_thumbnails_clip_id_unique": (
        "thumbnails unique btree (clip_id) WHERE (clip_id IS NOT NULL)"
    ),
    "idx_pipeline_history_identifier": "pipeline_history unique btree (identifier)",
    "idx_pipeline_history_video_id": "pipeline_history btree (video_id)",
    "idx_pipeline_history_config_id": "pipeline_history btree (generation_config_id)",
    "idx_pipeline_history_status": "pipeline_history btree (status)",
    "idx_pipeline_history_started_at": "pipeline_history btree (started_at)",
}

FOREIGN_KEYS = {
    ("transcripts", "(video_id) REFERENCES videos(id) ON DELETE CASCADE"),
    ("moments", "(video_id) REFERENCES videos(id) ON DELETE CASCADE"),
    ("moments", "(parent_id) REFERENCES moments(id) ON DELETE SET NULL"),
    ("moments", "(generation_config_id) REFERENCES generation_configs(id) ON DELETE CASCADE"),
    ("generation_configs", "(prompt_id) REFERENCES prompts(id) ON DELETE CASCADE"),
    ("generation_configs", "(transcript_id) REFERENCES transcripts(id) ON DELETE CASCADE"),
    ("clips", "(moment_id) REFERENCES moments(id) ON DELETE CASCADE"),
    ("clips", "(video_id) REFERENCES videos(id) ON DELETE CASCADE"),
    ("thumbnails", "(video_id) REFERENCES videos(id) ON DELETE CASCADE"),
    ("thumbnails", "(clip_id) REFERENCES clips(id) ON DELETE CASCADE"),
    ("pipeline_history", "(video_id) REFERENCES videos(id) ON DELETE CASCADE"),
    (
        "pipeline_history",
        "(generation_config_id) REFERENCES generation_configs(id) ON DELETE CASCADE",
    ),
}

UNIQUE = {
    ("videos", "(identifier)"),
    ("transcripts", "(video_id)"),
    ("moments", "(identifier)"),
    ("prompts", "(prompt_hash)"),
    ("generation_configs", "(config_hash)"),
    ("clips", "(moment_id)"),
    ("pipeline_history", "(identifier)"),
}

CHECKS = {
    ("moments", "((end_time > start_time))"),
    ("moments", "(((score >= 0) AND (score <= 10)))"),
    ("clips", "((end_time > start_time))"),
    (
        "thumbnails",
        (
            "((((video_id IS NOT NULL) AND (clip_id IS NULL))"
            " OR ((video_id IS NULL) AND (clip_id IS NOT NULL))))"
        ),
    ),
}


@pytest.fixture
def connection(migrated_database: Database) -> Iterator[Connection]:
    with migrated_database.engine.connect() as opened:
        yield opened


def _relations(connection: Connection, kinds: str) -> set[str]:
    found = connection.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind::text = ANY (:kinds)"
        ),
        {"kinds": list(kinds)},
    )
    return set(found.scalars())


def _constraints(connection: Connection, kind: str, prefix: str) -> set[tuple[str, str]]:
    found = connection.execute(
        text(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype::text = :kind"
            " AND conrelid::regclass::text <> 'alembic_version'"
        ),
        {"kind": kind},
    )
    return {(table, definition.removeprefix(prefix)) for table, definition in found}


def test_public_holds_the_eight_tables_and_the_version_and_nothing_else(
    connection: Connection,
) -> None:
    assert _relations(connection, "rpvmf") == {*TABLES, "alembic_version"}
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert connection.scalar(text(functions)) == 0


@pytest.mark.parametrize("table", TABLES)
def test_a_tables_columns_are_the_documented_ones(connection: Connection, table: str) -> None:
    found = connection.execute(
        text(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull,"
            " pg_get_expr(adbin, adrelid)"
            " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
            " WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum"
        ),
        {"table": table},
    )
    lines = [
        f"{name} {kind}" + (" !" if required else "") + (f" = {default}" if default else "")
        for name, kind, required, default in found
    ]
    documented = [re.sub(" +", " ", line.strip()) for line in TABLES[table].strip().splitlines()]
    serial = f"nextval('{table}_id_seq'::regclass)"
    assert lines == [line.replace("nextval", serial) for line in documented]


def test_the_indexes_are_the_documented_ones(connection: Connection) -> None:
    found = connection.execute(
        text(
            "SELECT indexname, tablename, indexdef FROM pg_indexes"
            " WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pk%'"
            " AND indexname NOT LIKE 'pk\\_%'"
        )
    )
    described = {
        name: f"{table} {'unique ' if 'UNIQUE' in made else ''}{made.split(' USING ')[1]}"
        for name, table, made in found
    }
    described.pop("alembic_version_pkc", None)
    assert described == INDEXES


def test_primary_keys_are_the_ids(connection: Connection) -> None:
    keys = _constraints(connection, "p", "PRIMARY KEY ")
    assert keys == {(table, "(id)") for table in TABLES}


def test_foreign_keys_have_the_documented_delete_behaviour(connection: Connection) -> None:
    assert _constraints(connection, "f", "FOREIGN KEY ") == FOREIGN_KEYS


def test_unique_and_check_constraints_are_the_documented_ones(connection: Connection) -> None:
    assert _constraints(connection, "u", "UNIQUE ") == UNIQUE
    assert _constraints(connection, "c", "CHECK ") == CHECKS


# The verification list. 1 and 2, a running server with the database, are what the fixture gives;
# 4 to 6 are about a web application.


def test_verification_3_there_are_nine_tables(connection: Connection) -> None:
    assert len(_relations(connection, "r")) == 9


def test_verification_7_a_table_has_all_columns_of_the_schema(connection: Connection) -> None:
    found = connection.execute(
        text(
            "SELECT count(*) FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = 'videos'"
        )
    )
    assert found.scalar() == 12


def test_verification_8_all_twelve_foreign_keys_are_there(connection: Connection) -> None:
    assert len(_constraints(connection, "f", "")) == 12


def test_verification_9_all_documented_indexes_are_there(connection: Connection) -> None:
    assert set(INDEXES) <= _relations(connection, "i")


def test_verification_10_all_tables_are_empty(connection: Connection) -> None:
    for table in TABLES:
        rows = select(func.count()).select_from(sql_table(table))
        assert connection.scalar(rows) == 0


def test_verification_health_check_finds_nothing_to_complain_of(
    migrated_database: Database,
) -> None:
    check_schema(migrated_database)
    url = rendered(migrated_database.url)
    assert revision_of(url) == schema_state.head_revision()
