"""What must outlive a restored catalogue: policy versions, and which freezes were lifted."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.add_column('recorded_freezes', sa.Column('lifted_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('recorded_freezes', sa.Column('awaits', sa.String(length=32), nullable=True))
    op.create_table('recorded_policies',
    sa.Column('version', sa.String(length=32), nullable=False),
    sa.Column('ledger_sequence', sa.Integer(), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('effective_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changes', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('version')
    )
    op.create_table('recorded_checkpoints',
    sa.Column('name', sa.String(length=16), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.Column('at', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('previous', sa.Integer(), nullable=False),
    sa.Column('signature', sa.String(length=128), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    # Entries up to here were written without a tag; their chain is held by this hash instead.
    op.execute(
        "INSERT INTO ledger_heads (name, sequence, hash) "
        "SELECT 'untagged', sequence, hash FROM ledger_heads WHERE name = 'ledger'"
    )
