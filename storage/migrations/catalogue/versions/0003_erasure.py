"""Erasure: avatars, snapshots, artefacts and generations; orders with their plans; holds; tombstones."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.create_table('holds',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('scope', sa.String(length=16), nullable=False),
    sa.Column('scope_id', sa.String(length=32), nullable=False),
    sa.Column('case', sa.String(length=1), nullable=False),
    sa.Column('document_digest', sa.String(length=64), nullable=False),
    sa.Column('ledger_sequence', sa.Integer(), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('lifted_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_holds'))
    )
    with op.batch_alter_table('holds', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_holds_scope_id'), ['scope_id'], unique=False)

    op.create_table('snapshots',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_snapshots'))
    )
    op.create_table('erasure_items',
    sa.Column('order_id', sa.String(length=32), nullable=False),
    sa.Column('object_id', sa.String(length=32), nullable=False),
    sa.Column('action', sa.String(length=8), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('store_key', sa.String(length=64), nullable=False),
    sa.Column('sealed_bytes', sa.BigInteger(), nullable=True),
    sa.Column('sealed_sha256', sa.String(length=64), nullable=False),
    sa.Column('remaining', sa.JSON(), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_erasure_items_order_id')),
    sa.PrimaryKeyConstraint('order_id', 'object_id', name=op.f('pk_erasure_items'))
    )
    with op.batch_alter_table('erasure_items', schema=None) as batch_op:
        batch_op.create_index('ix_erasure_items_order_store_key', ['order_id', 'store_key'], unique=False)

    op.create_table('erasures',
    sa.Column('order_id', sa.String(length=32), nullable=False),
    sa.Column('worker', sa.String(length=160), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('steps', sa.JSON(), nullable=False),
    sa.Column('concerned', sa.JSON(), nullable=False),
    sa.Column('removed_rows', sa.JSON(), nullable=False),
    sa.Column('told', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_erasures_order_id')),
    sa.PrimaryKeyConstraint('order_id', name=op.f('pk_erasures'))
    )
    op.create_table('avatars',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('subject_id', sa.String(length=32), nullable=True),
    sa.Column('name_sealed', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['subject_id'], ['subjects.id'], name=op.f('fk_avatars_subject_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_avatars'))
    )
    with op.batch_alter_table('avatars', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_avatars_subject_id'), ['subject_id'], unique=False)

    op.create_table('artefacts',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('task', sa.String(length=16), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('subject_id', sa.String(length=32), nullable=True),
    sa.Column('avatar_id', sa.String(length=32), nullable=True),
    sa.Column('snapshot_id', sa.String(length=32), nullable=True),
    sa.Column('base_id', sa.String(length=32), nullable=True),
    sa.Column('engine', sa.String(length=80), nullable=False),
    sa.Column('engine_version', sa.String(length=40), nullable=False),
    sa.Column('metrics', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('registered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('tainted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retrain_by', sa.DateTime(timezone=True), nullable=True),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['avatar_id'], ['avatars.id'], name=op.f('fk_artefacts_avatar_id')),
    sa.ForeignKeyConstraint(['snapshot_id'], ['snapshots.id'], name=op.f('fk_artefacts_snapshot_id')),
    sa.ForeignKeyConstraint(['subject_id'], ['subjects.id'], name=op.f('fk_artefacts_subject_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_artefacts'))
    )
    with op.batch_alter_table('artefacts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_artefacts_avatar_id'), ['avatar_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_artefacts_base_id'), ['base_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_artefacts_snapshot_id'), ['snapshot_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_artefacts_state'), ['state'], unique=False)
        batch_op.create_index(batch_op.f('ix_artefacts_subject_id'), ['subject_id'], unique=False)

    op.create_table('snapshot_members',
    sa.Column('snapshot_id', sa.String(length=32), nullable=False),
    sa.Column('object_id', sa.String(length=32), nullable=False),
    sa.Column('upload_id', sa.String(length=32), nullable=False),
    sa.Column('subject_id', sa.String(length=32), nullable=False),
    sa.Column('grant_sequence', sa.Integer(), nullable=False),
    sa.Column('sealed_sha256', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['snapshot_id'], ['snapshots.id'], name=op.f('fk_snapshot_members_snapshot_id')),
    sa.ForeignKeyConstraint(['subject_id'], ['subjects.id'], name=op.f('fk_snapshot_members_subject_id')),
    sa.ForeignKeyConstraint(['upload_id'], ['uploads.id'], name=op.f('fk_snapshot_members_upload_id')),
    sa.PrimaryKeyConstraint('snapshot_id', 'object_id', name=op.f('pk_snapshot_members'))
    )
    with op.batch_alter_table('snapshot_members', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_snapshot_members_object_id'), ['object_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_snapshot_members_subject_id'), ['subject_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_snapshot_members_upload_id'), ['upload_id'], unique=False)

    op.create_table('generations',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('artefact_id', sa.String(length=32), nullable=False),
    sa.Column('avatar_id', sa.String(length=32), nullable=True),
    sa.Column('subject_id', sa.String(length=32), nullable=True),
    sa.Column('request_sealed', sa.LargeBinary(), nullable=True),
    sa.Column('seconds', sa.Float(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['artefact_id'], ['artefacts.id'], name=op.f('fk_generations_artefact_id')),
    sa.ForeignKeyConstraint(['avatar_id'], ['avatars.id'], name=op.f('fk_generations_avatar_id')),
    sa.ForeignKeyConstraint(['subject_id'], ['subjects.id'], name=op.f('fk_generations_subject_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_generations'))
    )
    with op.batch_alter_table('generations', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_generations_artefact_id'), ['artefact_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_generations_avatar_id'), ['avatar_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_generations_subject_id'), ['subject_id'], unique=False)

    with op.batch_alter_table('accounts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('intents', schema=None) as batch_op:
        batch_op.add_column(sa.Column('artefact_id', sa.String(length=32), nullable=True))
        batch_op.alter_column('subject_id',
               existing_type=sa.VARCHAR(length=32),
               nullable=True)
        batch_op.create_index(batch_op.f('ix_intents_artefact_id'), ['artefact_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_intents_artefact_id'), 'artefacts', ['artefact_id'], ['id'])

    with op.batch_alter_table('objects', schema=None) as batch_op:
        batch_op.add_column(sa.Column('artefact_id', sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f('ix_objects_artefact_id'), ['artefact_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_objects_artefact_id'), 'artefacts', ['artefact_id'], ['id'])

    with op.batch_alter_table('orders', schema=None) as batch_op:
        batch_op.add_column(sa.Column('requester', sa.String(length=16), nullable=False, server_default='person'))
        batch_op.add_column(sa.Column('keep_shared', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('reference', sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column('done_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('artefact_id', sa.String(length=32), nullable=True))
        batch_op.alter_column('subject_id',
               existing_type=sa.VARCHAR(length=32),
               nullable=True)
        batch_op.create_index(batch_op.f('ix_runs_artefact_id'), ['artefact_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_runs_artefact_id'), 'artefacts', ['artefact_id'], ['id'])

    with op.batch_alter_table('subjects', schema=None) as batch_op:
        batch_op.add_column(sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('uploads', schema=None) as batch_op:
        batch_op.alter_column('subject_id',
               existing_type=sa.VARCHAR(length=32),
               nullable=True)

    # Orders of before had no requester; a minor's was the house's own duty.
    orders = sa.table('orders', sa.column('ground'), sa.column('requester'))
    op.execute(
        orders.update().where(orders.c.ground == 'no_guardian_consent').values(requester='house')
    )
    with op.batch_alter_table('orders', schema=None) as batch_op:
        batch_op.alter_column('requester', existing_type=sa.String(length=16), server_default=None)
        batch_op.alter_column('keep_shared', existing_type=sa.Boolean(), server_default=None)
