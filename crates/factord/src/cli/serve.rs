//! serve
/// serve
#[derive(clap::Args, Debug)]
pub struct Serve {}
impl Serve {
    pub async fn run(self) -> anyhow::Result<()> {
        Ok(())
    }
}
