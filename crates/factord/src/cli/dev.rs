//! dev
/// dev
#[derive(clap::Args, Debug)]
pub struct Dev {}
impl Dev {
    pub async fn run(self) -> anyhow::Result<()> {
        Ok(())
    }
}
